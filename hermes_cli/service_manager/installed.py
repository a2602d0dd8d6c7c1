"""The files an installation consists of: written whole or not at all, compared with what they should be."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .errors import ServiceEditedError, ServiceError
from .types import RenderedFile

DifferenceState = Literal["missing", "outdated", "edited"]
Comment = Literal["#", "xml", "json", "rem"]

_MARK = "hermes-body-sha256"
_SIGNATURE = re.compile(rf"^.*\b{_MARK}\b\W+([0-9a-f]{{64}})\b.*$\n?", re.MULTILINE)
_FORMS: dict[str, str] = {
    "#": f"# {_MARK}: {{}}\n",
    "xml": f"<!-- {_MARK}: {{}} -->\n",
    "json": f'  "{_MARK}": "{{}}",\n',
    "rem": f"rem {_MARK}: {{}}\r\n",
}

_UNFINISHED = ".hermes-new-"
"""A file being written is this and a hash of its name: fixed, so that the next run replaces what a killed
one left, and short, for a name may fill what the file system allows."""

_SETTING = re.compile(r"""^(\s*["']?[\w.-]+["']?\s*[=:]).*$""")


@dataclass(frozen=True, slots=True)
class Difference:
    """A file that is not as `install` would write it."""

    path: Path
    state: DifferenceState
    """`outdated` is as some version of Hermes wrote it; `edited` was changed by hand, or is not Hermes'."""
    diff: str
    """Unified diff from what is there to what would be written; values of a private file are left out."""


def signed(body: str, comment: Comment = "#") -> str:
    """`body` with a line that holds its sha256, in a form that its reader skips.

    It is the last line; in "json" the second (a key of the object; `body` begins with "{" and a newline).
    Raises ValueError for a body that cannot take it.
    """
    if _SIGNATURE.search(body):
        raise ValueError("signed already")
    line = _FORMS[comment].format(_sha256(body))
    if comment == "json":
        if not body.startswith("{\n") or body.startswith("{\n}"):
            raise ValueError('a JSON object over several lines begins with "{" and a newline')
        return body[:2] + line + body[2:]
    if not body.endswith("\n"):
        raise ValueError("the last line has no end")
    return body + line


def is_edited(text: str) -> bool:
    """Whether `text` is not what `signed` once returned."""
    found = _SIGNATURE.search(text)
    return found is None or _sha256(text[: found.start()] + text[found.end() :]) != found.group(1)


def differences(rendered: Iterable[RenderedFile]) -> list[Difference]:
    """Where the disk differs from `rendered`, in its order; nothing where content and mode agree.

    Raises `ServiceError` for a file that cannot be read.
    """
    found = (_difference(file) for file in rendered)
    return [difference for difference in found if difference is not None]


def write_files(service: str, rendered: Sequence[RenderedFile], *, force: bool = False) -> list[Path]:
    """Bring the disk to `rendered`, in its order; the paths that changed.

    Each file is replaced in one step, with its mode from the beginning, and synced: a run that is
    killed leaves whole files, and the next one completes it. Raises `ServiceEditedError`, before
    anything is written, where a file was changed by hand (unless `force`), `ServiceError` where one
    cannot be written.
    """
    wrong = {difference.path: difference for difference in differences(rendered)}
    if not force:
        for difference in wrong.values():
            if difference.state == "edited":
                raise ServiceEditedError(service, os.fspath(difference.path))
    changed = [file for file in rendered if file.path in wrong]
    for file in changed:
        try:
            _write(file)
        except OSError as error:
            raise ServiceError(f"cannot write {file.path} for {service}: {error.strerror}") from error
    return [file.path for file in changed]


def remove_files(paths: Iterable[Path]) -> list[Path]:
    """Remove files, in order, and what a killed `write_files` left beside them; those that were there.

    Raises `ServiceError` for one that cannot be removed.
    """
    removed = []
    for path in paths:
        try:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                _unfinished(path).unlink()
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()
                removed.append(path)
        except OSError as error:
            raise ServiceError(f"cannot remove {path}: {error.strerror}") from error
    for directory in {path.parent for path in removed}:
        _sync_directory(directory)
    return removed


def _difference(file: RenderedFile) -> Difference | None:
    try:
        seen = file.path.lstat()
        text = _read(file.path)
    except (FileNotFoundError, NotADirectoryError):
        return Difference(file.path, "missing", _diff(file, ""))
    except IsADirectoryError:
        return Difference(file.path, "edited", f"{file.path} is a directory\n")
    except OSError as error:
        raise ServiceError(f"cannot read {file.path}: {error.strerror}") from error
    if text != file.content or stat.S_ISLNK(seen.st_mode):
        return Difference(file.path, "edited" if _foreign(file, text) else "outdated", _diff(file, text))
    mode = stat.S_IMODE(seen.st_mode)
    if mode != file.mode and os.name == "posix":
        return Difference(
            file.path, "outdated", f"mode of {file.path}: {mode:04o}, should be {file.mode:04o}\n"
        )
    return None


def _foreign(file: RenderedFile, text: str) -> bool:
    """Whether the text there is nobody's older version; cannot be told where files carry no signature."""
    return not is_edited(file.content) and is_edited(text)


def _read(path: Path) -> str:
    # Not blocking: a FIFO in the file's place has nobody who writes.
    flags = (
        os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    with os.fdopen(os.open(path, flags), "rb") as file:
        return file.read().decode(errors="surrogateescape")


def _diff(file: RenderedFile, text: str) -> str:
    import difflib

    lines = difflib.unified_diff(
        text.splitlines(),
        file.content.splitlines(),
        os.fspath(file.path) if text else os.devnull,
        f"{file.path} (as rendered)",
        lineterm="",
    )
    told = [line for line in lines if _MARK not in line]
    if not file.mode & 0o077:
        told = told[:2] + [_veiled(line) for line in told[2:]]
    return "".join(f"{line}\n" for line in told)


def _veiled(line: str) -> str:
    """A line of a private file's diff without its value: dry runs end up in reports of bugs."""
    if line.startswith("@@") or line[1:].startswith("#") or not line[1:]:
        return line
    setting = _SETTING.match(line[1:])
    return f"{line[0]}{setting.group(1) if setting else ''}…"


def _write(file: RenderedFile) -> None:
    file.path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = _unfinished(file.path)
    with contextlib.suppress(FileNotFoundError):
        unfinished.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(unfinished, flags, file.mode & 0o700)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(file.content.encode(errors="surrogateescape"))
            opened.flush()
            if os.name == "posix":
                os.fchmod(descriptor, file.mode)
            os.fsync(descriptor)
        unfinished.replace(file.path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise
    _sync_directory(file.path.parent)


def _unfinished(path: Path) -> Path:
    return path.with_name(_UNFINISHED + _sha256(path.name)[:16])


def _sync_directory(directory: Path) -> None:
    """So that the rename outlives a power cut. File systems without it (and Windows) order it themselves."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sha256(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
