"""Programs that run another: where the other's command line begins, or the text of its script."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from .program_arguments import names
from .shell_reading import UnreadableError, Word

SHELLS = names("sh bash dash zsh ksh mksh ash fish rbash csh tcsh yash pwsh")


@dataclass(frozen=True, slots=True)
class Inner:
    """What a program runs: a command line, or a text for the shell."""

    words: tuple[Word, ...] = ()
    script: str | None = None
    drops_stdin: bool = False


@dataclass(frozen=True, slots=True)
class _Wrapper:
    valued: str = ""
    """Short options that take a value."""
    long: tuple[str, ...] = ()
    """Long ones that do, where it is a word of its own."""
    skipped: int = 0
    """Operands before the command."""
    joined: bool = False
    """The rest is put together and given to a shell, as ssh does."""


_PLAIN = _Wrapper()
_SUDO = _Wrapper(
    "ughpCDRrtTU", ("--user", "--group", "--host", "--prompt", "--chdir", "--chroot", "--close-from")
)
_WRAPPERS = {
    **dict.fromkeys(names("nohup setsid coproc command builtin busybox toybox dumb-init fakeroot"), _PLAIN),
    **dict.fromkeys(names("unbuffer torsocks proxychains proxychains4 with-contenv s6-setsid"), _PLAIN),
    "exec": _Wrapper("a"),
    "sudo": _SUDO,
    "doas": _Wrapper("uC"),
    "pkexec": _Wrapper("", ("--user",)),
    "env": _Wrapper("uCS", ("--unset", "--chdir")),
    "nice": _Wrapper("n", ("--adjustment",)),
    "ionice": _Wrapper("cnpPu", ("--class", "--classdata")),
    "chrt": _Wrapper("TPD", (), 1),
    "taskset": _Wrapper("", (), 1),
    "timeout": _Wrapper("sk", ("--signal", "--kill-after"), 1),
    "time": _Wrapper("fo", ("--format", "--output")),
    "stdbuf": _Wrapper("ioe", ("--input", "--output", "--error")),
    "chroot": _Wrapper("", (), 1),
    "unshare": _Wrapper("SG"),
    "nsenter": _Wrapper("tSG", ("--target",)),
    "prlimit": _Wrapper("p"),
    "strace": _Wrapper("abeEfFIoOpPsSuUX"),
    "ltrace": _Wrapper("aeFlnopsuwx"),
    "watch": _Wrapper("nq", ("--interval",), joined=True),
    "ssh": _Wrapper("bcDEeFIiJLlmOopQRSWw", (), 1, joined=True),
    "sshpass": _Wrapper("pfdP"),
    "gosu": _Wrapper("", (), 1),
    "su-exec": _Wrapper("", (), 1),
    "s6-setuidgid": _Wrapper("", (), 1),
    "setpriv": _Wrapper("", ("--reuid", "--regid", "--groups", "--inh-caps", "--bounding-set")),
    "xargs": _Wrapper("ILnPsdaE", ("--replace", "--max-args", "--max-procs", "--delimiter", "--arg-file")),
    "parallel": _Wrapper("jIaN", ("--jobs",), joined=True),
    "caffeinate": _Wrapper("tw"),
    "uv": _PLAIN,
}
_SEARCHED = names("docker podman nerdctl kubectl oc lxc flatpak vagrant systemd-run screen npx poetry pipenv")
"""Too many options that take values: a command is looked for wherever it may begin."""
_STDIN = frozenset({"-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"})
_MOST_INPUT = 1 << 20
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


def inner(name: str, words: list[Word], known: frozenset[str]) -> list[Inner]:
    """What the program `name` runs with the arguments `words`. `known`: the programs worth looking for."""
    texts = [word.text for word in words]
    match name:
        case "eval":
            return [Inner(script=" ".join(texts))]
        case "trap":
            return [Inner(script=next((text for text in texts if text != "--"), ""))]
        case "alias":
            return [Inner(script=text.partition("=")[2]) for text in texts if "=" in text]
        case "su" | "runuser" | "script" | "flock" if found := _option(texts, "c", "--command"):
            return [Inner(script=found)]
        case "flock" | "runuser":
            return [
                Inner(tuple(words[index:])) for index in range(len(words)) if _begins(texts[index], known)
            ]
        case "command" if texts[:1] in (["-v"], ["-V"]):
            return []
        case "find" | "fd" | "fdfind":
            return _of_find(words)
        case "tmux":
            return [Inner(script=text) for text in texts if " " in text]
        case "env" if split := _option(texts, "S", "--split-string"):
            return [Inner(tuple(Word(part) for part in _split(split)) + tuple(words[_after(texts, split) :]))]
        case "git":
            aliases = [re.match(r"alias\.[^=]+=!(.*)", text, re.DOTALL) for text in texts]
            return [Inner(script=match[1]) for match in aliases if match]
    if name in _SEARCHED:
        return [Inner(tuple(words[index:])) for index in range(len(words)) if _begins(texts[index], known)][
            :8
        ]
    wrapper = _WRAPPERS.get(name)
    if wrapper is None:
        return []
    start = _start(texts, wrapper)
    rest = words[start:]
    if not rest:
        return []
    if wrapper.joined:
        return [Inner(script=" ".join(word.text for word in rest))]
    return [Inner(tuple(rest))]


def script_of(name: str, texts: list[str]) -> tuple[str | None, str | None]:
    """Of a shell's arguments: the text after -c, and the file it reads instead. Neither: it reads stdin."""
    if name in (".", "source"):
        return None, (texts[0] if texts and texts[0] not in _STDIN else None)
    command = False
    index = 0
    while index < len(texts):
        text = texts[index]
        if text == "--":
            index += 1
            break
        if text in ("-o", "-O", "+o", "+O", "--rcfile", "--init-file"):
            index += 1
        elif text.startswith("--") or (text[:1] == "+" and len(text) > 1):
            command = command or text == "--command"
        elif text[:1] == "-" and len(text) > 1:
            command = command or "c" in text
            if "s" in text and "c" not in text:
                return None, None
        else:
            break
        index += 1
    rest = texts[index:]
    if command:
        return (rest[0] if rest else ""), None
    return None, (rest[0] if rest and rest[0] not in _STDIN else None)


def with_input(words: tuple[Word, ...], xargs: list[str], given: str | None) -> tuple[Word, ...]:
    """The command that xargs makes of `words` and what it reads."""
    if given is None:
        return words
    mark = _option(xargs, "I", "--replace") or (
        "{}" if any(text in ("-i", "--replace") for text in xargs) else None
    )
    if len(given) * sum(word.text.count(mark) if mark else 1 for word in words) > _MOST_INPUT:
        raise UnreadableError("xargs makes it too long")
    if mark:
        return tuple(Word(word.text.replace(mark, given.strip()), word.producers) for word in words)
    return words + tuple(Word(part) for part in _split(given)[:1000])


def _start(texts: list[str], wrapper: _Wrapper) -> int:
    index = 0
    while index < len(texts):
        text = texts[index]
        if text == "--":
            index += 1
            break
        if text.startswith("--"):
            index += 1 if text in wrapper.long else 0
        elif text.startswith("-") and len(text) > 1:
            # `-u root` takes the next word, `-uroot` has its value.
            index += (
                1
                if next((at for at, one in enumerate(text) if one in wrapper.valued), 0) == len(text) - 1
                else 0
            )
        elif not _ASSIGNMENT.match(text) and text not in (":::", "run"):
            break
        index += 1
    return index + wrapper.skipped


def _option(texts: list[str], short: str, name: str) -> str | None:
    """The value of an option, in any of the ways to write it."""
    for index, text in enumerate(texts):
        if text == name or re.fullmatch(rf"-[A-Za-z]*{short}", text):
            return texts[index + 1] if index + 1 < len(texts) else None
        if text.startswith(name + "="):
            return text[len(name) + 1 :]
        if len(text) > 2 and text.startswith("-" + short):
            return text[2:]
    return None


def _after(texts: list[str], value: str) -> int:
    return next((index + 1 for index, text in enumerate(texts) if text.endswith(value)), len(texts))


def _of_find(words: list[Word]) -> list[Inner]:
    found, start = [], None
    for index, word in enumerate(words):
        if word.text in ("-exec", "-execdir", "-ok", "-okdir", "-x", "-X", "--exec", "--exec-batch"):
            start = index + 1
        elif start is not None and word.text in (";", "+"):
            found.append(Inner(tuple(words[start:index])))
            start = None
    return [*found, Inner(tuple(words[start:]))] if start is not None else found


def _begins(text: str, known: frozenset[str]) -> bool:
    return text.rpartition("/")[2] in known


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
