"""Whether a command would do harm that cannot be undone: what, and why, before it runs.

A net, not a wall: it sees through quotes, `sudo`, `sh -c`, pipes and substitutions, and not through a script
that was written to a file first. What must not be lost belongs outside the agent's reach.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from . import inline_code, wrappers
from .danger_paths import is_whole, redirect
from .danger_rules import DANGERS, RULES, rule_of
from .program_arguments import flags, names, operands
from .shell_reading import Command, Script, UnreadableError, Word, piped_output, read
from .shell_words import ansi_c

_MAX_NESTED = 6
_MAX_READINGS = 60
_SECONDS = 2.0
"""For one command, everything within it included."""

_NETWORK = names("curl wget fetch aria2c http https httpie xh nc ncat netcat lynx ftp tftp gh")
_DECODERS = names("base64 base32 basenc xxd openssl uudecode rev gpg")
_INTERPRETERS = {
    "python": ("c", ""), "python2": ("c", ""), "python3": ("c", ""), "pypy3": ("c", ""),
    "perl": ("eE", ""), "ruby": ("e", ""), "node": ("ep", "--eval"), "nodejs": ("ep", "--eval"),
    "deno": ("", ""), "bun": ("e", "--eval"), "php": ("r", "--run"), "lua": ("e", ""), "osascript": ("e", ""),
}  # fmt: skip
"""Interpreter → its options for code on the command line."""
_SQL_CLIENTS = names(
    "mysql mariadb psql sqlite3 sqlite duckdb clickhouse-client clickhouse sqlcmd mongosh mongo "
    "cqlsh usql pgcli mycli litecli redis-cli valkey-cli cockroach bq snowsql sqlplus isql influx"
)
_SQL_OPTIONS = re.compile(r"--?(?:command|execute|query|sql|eval)(?:=(.*))?", re.DOTALL)
_RESERVED = names("if then elif else while until do ! { (")
_KNOWN = (
    frozenset(RULES) | wrappers.SHELLS | frozenset(_INTERPRETERS) | _SQL_CLIENTS | {"sudo", "env", "xargs"}
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One danger in a command."""

    pattern_key: str
    description: str
    excerpt: str
    """The part of the command that it was found in, 200 characters at most."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What is to be known of a command before it runs."""

    findings: tuple[Finding, ...]
    programs: frozenset[str]
    """The names of all programs in it, as far as they can be seen."""
    detaches: bool
    """It puts something into the background by itself."""
    sleeps: float
    """The longest `sleep` in it, seconds."""


def check(command: str, *, stdin: str | None = None) -> Checked:
    """Everything dangerous in `command`, each danger once, the first place first. Never raises.

    With `stdin`, what is to be typed into it counts: `check("bash", stdin="rm -rf /")`.
    """
    import time

    checking = _Checking(deadline=time.monotonic() + _SECONDS)
    try:
        checking.script(command, stdin, 0)
    except (UnreadableError, RecursionError) as error:
        why = str(error) if isinstance(error, UnreadableError) else "it is nested too deeply"
        checking.found.setdefault(
            "unreadable", Finding("unreadable", f"cannot be checked: {why}", command[:200])
        )
    return Checked(
        tuple(checking.found.values()), frozenset(checking.programs), checking.detaches, checking.sleeps
    )


class _Checking:
    def __init__(self, deadline: float) -> None:
        self.found: dict[str, Finding] = {}
        self.programs: set[str] = set()
        self.detaches = False
        self.sleeps = 0.0
        self._deadline = deadline
        self._readings = 0
        self._downloads: set[str] = set()

    def script(self, text: str, stdin: str | None, depth: int, within: Command | None = None) -> None:
        """Check a text that a shell runs; `within` is the command that runs the shell."""
        import time

        self._readings += 1
        if depth > _MAX_NESTED or self._readings > _MAX_READINGS:
            raise UnreadableError("it holds too many commands within commands")
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise UnreadableError("it takes too long to read")
        script = read(text, within.variables if within else None, stdin=stdin, seconds=left)
        upstream = within.producers if within else ()
        self.detaches = self.detaches or (script.detaches and depth == 0)
        self._fork_bomb(script, text)
        for command in script.commands:
            if upstream and not command.producers and command.stdin is None:
                command.producers = upstream
            self._command(command, depth)

    def _add(self, key: str | None, excerpt: str) -> None:
        if key is not None and key not in self.found:
            shown = excerpt if len(excerpt) <= 200 else excerpt[:199] + "…"
            self.found[key] = Finding(key, DANGERS[key], shown)

    def _fork_bomb(self, script: Script, text: str) -> None:
        for name, body in script.functions.items():
            calls = [command for command in body if command.name == name]
            if len(calls) > 1 or (calls and script.detaches):
                self._add("fork_bomb", text)

    def _command(self, command: Command, depth: int) -> None:
        shown = " ".join(word.text for word in command.words)
        for operator, path in command.redirects:
            self._add(redirect(operator, path), f"{shown} {operator} {path}".strip())
        self._run(command.words, command, depth, shown)

    def _run(self, words: list[Word], command: Command, depth: int, shown: str) -> None:
        # Where the grammar stumbled (`time if …`, `coproc { …`) a reserved word passes for a program.
        while words and words[0].text in _RESERVED:
            words = words[1:]
        if not words:
            return
        if depth > _MAX_NESTED:
            raise UnreadableError("it holds too many commands within commands")
        name = words[0].text.rpartition("/")[2].lower()
        if words[0].bare is not None and name not in _KNOWN:
            name = words[0].bare.rpartition("/")[2].lower() or name
        args = [word.text for word in words[1:]]
        self.programs.add(name)
        if name == "sleep":
            self.sleeps = max(self.sleeps, _seconds(args))
        if name in _NETWORK:
            self._remember_download(name, args, command)
        if rule := rule_of(name):
            self._add(rule(args), shown)
        elif words[0].text[:1] in "$`" and flags(args, "rR") and flags(args, "f") and operands(args):
            # A program nobody can know, with the options of rm.
            whole = any(is_whole(target) for target in operands(args))
            self._add("delete_system" if whole else "recursive_delete", shown)
        if name in wrappers.SHELLS or name in (".", "source"):
            self._shell(name, words, command, depth, shown)
        elif name.rstrip("0123456789.") in _INTERPRETERS or name in _INTERPRETERS:
            self._interpreter(name, words, command, depth, shown)
        elif name in ("awk", "gawk", "mawk"):
            self._code(" ".join(args), depth, shown)
        elif name in ("at", "batch") and command.stdin is not None:
            self.script(command.stdin, None, depth + 1, command)
        self._sql(name, args, command, shown)
        if name == "eval" and (key := self._origin(command_of(words))):
            self._add(key, shown)
        for inner in wrappers.inner(name, words[1:], _KNOWN):
            if inner.script is not None:
                self.script(inner.script, command.stdin, depth + 1, command)
            else:
                rest = inner.words
                if name == "xargs":
                    rest = wrappers.with_input(rest, args[: len(args) - len(rest)], command.stdin)
                self._run(list(rest), command, depth + 1, shown)

    def _shell(self, name: str, words: list[Word], command: Command, depth: int, shown: str) -> None:
        args = [word.text for word in words[1:]]
        text, file = wrappers.script_of(name, args)
        inside = Command([], variables=command.variables)
        if text is not None:
            self._add(self._origin(command_of(words)), shown)
            self.script(text, command.stdin, depth + 1, command)
        elif file is not None:
            self._add(self._origin(command_of(words)), shown)
            if posixpath.basename(file) in self._downloads:
                self._add("remote_script", shown)
            for word in words[1:]:
                if (known := piped_output(word.producers)) is not None:
                    self.script(known, None, depth + 1, inside)
        else:
            self._add(self._origin(command.producers), shown)
            if command.stdin is not None:
                self.script(command.stdin, None, depth + 1, inside)
        if flags(args, "i") and any(path.startswith("/dev/tcp") for _, path in command.redirects):
            self._add("reverse_shell", shown)

    def _interpreter(self, name: str, words: list[Word], command: Command, depth: int, shown: str) -> None:
        args = [word.text for word in words[1:]]
        short, long = _INTERPRETERS.get(name) or _INTERPRETERS[name.rstrip("0123456789.")]
        for index, arg in enumerate(args):
            if (short and re.fullmatch(rf"-[A-Za-z]*[{short}]", arg)) or (long and arg == long):
                self._add(self._origin(command_of(words)), shown)
                self._code(" ".join(args[index + 1 : index + 2]), depth, shown)
                return
            if short and re.match(rf"-[{short}].", arg):
                self._code(arg[2:], depth, shown)
                return
            if arg == "-m" or (not arg.startswith("-") and arg != "run"):
                if posixpath.basename(arg) in self._downloads:
                    self._add("remote_script", shown)
                return
            if arg == "-":
                break
        self._add(self._origin(command.producers), shown)
        if command.stdin is not None:
            self._code(command.stdin, depth, shown)

    def _code(self, code: str, depth: int, shown: str) -> None:
        self._add(inline_code.code_danger(code), shown)
        for text in inline_code.commands_in(code):
            self.script(ansi_c(text) if "\\" in text else text, None, depth + 1)

    def _sql(self, name: str, args: list[str], command: Command, shown: str) -> None:
        if name in _SQL_CLIENTS:
            given = [" ".join(args), *args, command.stdin or ""]
        else:
            given = []
            for index, arg in enumerate(args):
                if match := _SQL_OPTIONS.fullmatch(arg):
                    given.append(match[1] or "".join(args[index + 1 : index + 2]))
        for text in given:
            self._add(inline_code.sql_danger(text), shown)

    def _remember_download(self, name: str, args: list[str], command: Command) -> None:
        names = [path for operator, path in command.redirects if ">" in operator]
        for index, arg in enumerate(args):
            if arg in ("-o", "-O", "--output", "--output-document") and index + 1 < len(args):
                names.append(args[index + 1])
            elif "://" in arg:
                names.append(arg.partition("?")[0])
        self._downloads |= {posixpath.basename(path) for path in names} - {"", "-"}

    def _origin(self, producers: tuple[Command, ...]) -> str | None:
        """What kind of code `producers` write: from the network, or decoded."""
        for producer in producers:
            names = [word.text.rpartition("/")[2] for word in producer.words[:6]]
            if _NETWORK & set(names[:1]) or (
                names[:1] in (["sudo"], ["timeout"], ["env"]) and _NETWORK & set(names)
            ):
                return "remote_script"
        if any(producer.name in _DECODERS for producer in producers):
            return "hidden_script"
        return None


def command_of(words: list[Word]) -> tuple[Command, ...]:
    """The commands whose output is part of `words`."""
    return tuple(command for word in words for command in word.producers)


def _seconds(args: list[str]) -> float:
    units = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    found = [re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhd]?)", arg) for arg in args]
    return sum(float(match[1]) * units[match[2]] for match in found if match)
