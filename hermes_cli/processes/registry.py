"""The processes of one profile: the verbs. Everything is in their directories."""

from __future__ import annotations

import builtins
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from . import news, reading, records
from .collection import Collection, Kept
from .control import KeeperConnection
from .errors import (
    BadCursorError,
    KeeperUnreachableError,
    NotRunningError,
    ProcessError,
    StdinClosedError,
)
from .ids import new_id
from .limits import Limits
from .news import News
from .redaction import Redactor, secret_names
from .starting import check_directory, command_environment, command_line, other_user, start_keeper
from .types import (
    MIN_CAP,
    Closed,
    Killed,
    Listing,
    Logged,
    Polled,
    Spec,
    Started,
    StartRequest,
    Waited,
    Wrote,
)
from .waiting import wait_until
from .watching import check_patterns

_PREVIEW = 1000
_LIST_PREVIEW = 200
_POLL_BYTES = 64 << 10
_WAIT_OUTPUT = 64 << 10
_LOG_LINES = 200
_MOST_LINES = 10_000
_KILL_GRACE = 5.0
_KILL_OVERHEAD = 12.0
"""Seconds a keeper may take beyond the grace: for what SIGKILL cannot end at once."""
_LONGEST_GRACE = 600.0
_WRITE_PATIENCE = 5.0
_MOST_INPUT = 1 << 20

BOTH_NOTIFICATIONS = (
    "notify_on_complete and watch_patterns exclude each other: the end will be told, "
    "the patterns are not watched"
)

_Words = list[str]


class Registry:
    """The background processes below one directory. Any number of registries may work on it at once."""

    def __init__(
        self,
        directory: Path,
        *,
        default_cwd: str | None = None,
        secrets: Iterable[str] = (),
        withheld: Iterable[str] = (),
        environment: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`secrets`: values to redact everywhere. `withheld`: names of variables no command inherits.

        `environment` is what commands inherit from, os.environ if None.
        """
        self._directory = directory
        self._default_cwd = default_cwd or os.fspath(directory.parent)
        self._secrets = tuple(secrets)
        self._withheld = frozenset(withheld)
        self._environment = environment
        self._limits = limits or Limits.from_environment()
        self._clock = clock
        self._collection = Collection(directory, self._limits, clock)
        self._redactors: dict[str, Redactor] = {}
        self._previews: dict[str, tuple[object, reading.Text]] = {}

    @property
    def default_cwd(self) -> str:
        """Where commands run that ask for no directory."""
        return self._default_cwd

    @property
    def collection(self) -> Collection:
        """The directories, for those who hold some of them."""
        return self._collection

    # Start and look

    def start(
        self,
        request: StartRequest,
        *,
        process_id: str | None = None,
        held: bool = False,
        stdin: bytes | None = None,
    ) -> Started:
        """Start a command and return once it runs, or has run. `process_id`: from `new_id`, used once.

        `held`: what is known of it stays until `release`. `stdin`: all that it is to read there.
        Raises `StartError`, `TooManyProcessesError`, `BadPatternError`.
        """
        argv, shown = command_line(request)
        warnings: list[str] = []
        patterns = request.watch_patterns
        if patterns and request.notify_on_complete:
            patterns = ()
            warnings.append(BOTH_NOTIFICATIONS)
        check_patterns(patterns)
        cwd = request.cwd or self._default_cwd
        check_directory(cwd)
        inherited = os.environ if self._environment is None else self._environment
        process_id = process_id or new_id()
        user = other_user(request.user)
        environment = command_environment(request, process_id, cwd, inherited, self._withheld, user)
        spec = Spec(
            id=process_id,
            command=shown,
            argv=argv,
            cwd=cwd,
            created_at=self._clock(),
            pty=request.pty,
            stdin=request.stdin if stdin is None else records.INPUT,
            cap_bytes=max(MIN_CAP, request.cap_bytes),
            owner=request.owner,
            seal=request.seal,
            notify_on_complete=request.notify_on_complete,
            watch_patterns=patterns,
            secrets=tuple(environment[name] for name in sorted(secret_names(environment))),
        )
        directory = self._collection.reserve(spec, held=held, stdin=stdin)
        try:
            pid = start_keeper(directory, spec, request, environment, user)
        except BaseException:
            self._collection.discard(directory)
            raise
        status = records.read_status(directory)
        return Started(process_id, pid, status.state if status else "running", tuple(warnings))

    def list(self, *, session_key: str | None = None, task_id: str | None = None) -> list[Listing]:
        """All processes, or those of a session or a task, oldest first."""
        rows = []
        for kept in self._collection.all():
            owner = kept.spec.owner
            if session_key not in (None, owner.session_key) or task_id not in (None, owner.task_id):
                continue
            redactor = self._redactor(kept.spec)
            tail = self._preview(kept, redactor)
            status = kept.status
            rows.append(
                Listing(
                    session_id=kept.spec.id,
                    command=redactor.text(kept.spec.command),
                    cwd=kept.spec.cwd,
                    pid=status.pid,
                    started_at=status.started_at,
                    uptime_seconds=self._uptime(kept),
                    status=status.state,
                    output_preview=tail.text,
                    exit_code=status.exit_code,
                    signal=status.signal,
                    reason=status.reason or None,
                    descendants=status.descendants or None,
                    session_key=owner.session_key,
                    task_id=owner.task_id,
                    pty=kept.spec.pty,
                    cursor=tail.end_of_output,
                )
            )
        return sorted(rows, key=lambda row: (row.started_at, row.session_id))

    def find(self, given: str) -> str:
        """The whole id of a process; raises `NoSuchProcessError` and `AmbiguousIdError`."""
        return self._collection.resolve(given)

    def spec(self, given: str) -> Spec:
        """What was started."""
        return self._kept(given).spec

    def look(self, given: str) -> Kept:
        """What its directory says now: specification, status, and the output as bytes, nothing redacted."""
        return self._kept(given)

    def redactor(self, spec: Spec) -> Redactor:
        """What masks the secrets of a process, and of this profile."""
        return self._redactor(spec)

    def poll(self, given: str, cursor: int | None = None, *, final: bool = False) -> Polled:
        """What is new since `cursor`, a byte offset; the end of the output where it is None.

        `final`: no more is waited for, so that what is unfinished at the end is given out as it is.
        Raises `BadCursorError` for a cursor beyond the end.
        """
        kept = self._kept(given)
        redactor = self._redactor(kept.spec)
        if cursor is None:
            text = reading.tail_text(kept.spool, _PREVIEW, redactor)
        else:
            if cursor < 0:
                raise BadCursorError(f"a cursor is the offset of a byte, not {cursor}; begin with 0")
            more_may_come = bool(kept.status.control) and not final
            text = reading.read_text(kept.spool, cursor, _POLL_BYTES, redactor, running=more_may_come)
            if cursor > text.end_of_output:
                raise BadCursorError(
                    f"the cursor {cursor} is beyond the {text.end_of_output} bytes of output so far"
                )
        return Polled(
            session_id=kept.spec.id,
            command=redactor.text(kept.spec.command),
            status=kept.status.state,
            pid=kept.status.pid,
            uptime_seconds=self._uptime(kept),
            output_preview=text.text[-_PREVIEW:],
            cursor=text.end,
            output=text.text,
            dropped_bytes=text.dropped,
            more=text.more,
            end_of_output=text.end_of_output,
            exit_code=kept.status.exit_code,
            signal=kept.status.signal,
            reason=kept.status.reason or None,
        )

    def log(self, given: str, offset: int | None = None, limit: int = _LOG_LINES) -> Logged:
        """`limit` lines from number `offset` (from 0) on; the last `limit` where it is None.

        Raises `BadCursorError` for numbers below 0 and an offset beyond the last line.
        """
        kept = self._kept(given)
        if limit < 1 or (offset is not None and offset < 0):
            raise BadCursorError("offset counts lines from 0, limit is 1 or more")
        limit = min(limit, _MOST_LINES)
        page = kept.spool.page(offset, limit)
        if offset is not None and offset > page.total:
            raise BadCursorError(f"line {offset} is beyond the {page.total} lines so far")
        return Logged(
            session_id=kept.spec.id,
            status=kept.status.state,
            output=reading.line_text(page.lines, self._redactor(kept.spec)),
            total_lines=page.total,
            showing=_showing(page.first, len(page.lines), page.total, page.dropped),
            offset=page.first,
            dropped_bytes=page.dropped,
        )

    def wait(
        self, given: str, timeout: float | None = None, interrupted: Callable[[], bool] | None = None
    ) -> Waited:
        """Return when the process has ended, at most `timeout` seconds later, cut to the longest wait."""
        kept = self._kept(given)
        longest = self._limits.longest_wait
        asked = longest if timeout is None else max(0.0, timeout)
        patience = min(asked, longest)
        note = None
        if asked > longest:
            note = f"waited {longest:g} s at most, not {asked:g}: TERMINAL_TIMEOUT is the limit; wait again"
        ended = wait_until(
            kept.directory,
            kept.status,
            lambda: self._kept(kept.spec.id).status.state != "running",
            time.monotonic() + patience,
            interrupted,
        )
        kept = self._kept(kept.spec.id)
        output = reading.tail_text(kept.spool, _WAIT_OUTPUT, self._redactor(kept.spec)).text
        status = kept.status
        if not ended or status.state == "running":
            stopped = interrupted is not None and interrupted()
            note = note or (None if stopped else f"it still ran after {patience:g} s; it goes on")
            return Waited(kept.spec.id, "interrupted" if stopped else "timeout", output, timeout_note=note)
        return Waited(
            kept.spec.id,
            status.state,
            output,
            exit_code=status.exit_code,
            signal=status.signal,
            reason=status.reason or None,
        )

    def wait_for_output(self, given: str, cursor: int, timeout: float) -> None:
        """Return when there is output beyond `cursor`, the process has ended, or after `timeout` seconds."""
        kept = self._kept(given)

        def more() -> bool:
            if kept.spool.end() > cursor:
                return True
            return self._kept(kept.spec.id).status.state != "running"

        wait_until(kept.directory, kept.status, more, time.monotonic() + timeout, below=records.OUTPUT)

    # Act

    def kill(self, given: str, grace: float = _KILL_GRACE) -> Killed:
        """TERM, `grace` seconds later KILL, down to the last descendant. Says what was observed."""
        kept = self._kept(given)
        if not kept.status.control:
            return _already(kept)
        was_running = kept.status.state == "running"
        grace = min(max(0.0, grace), _LONGEST_GRACE)
        try:
            with KeeperConnection(kept.directory, kept.status.control) as keeper:
                words = keeper.ask(f"kill {int(grace * 1000)}", timeout=grace + _KILL_OVERHEAD)
        except KeeperUnreachableError as error:
            kept = self._kept(kept.spec.id)
            if kept.status.control:
                return Killed(kept.spec.id, "error", message=str(error))
            return self._killed(kept, 0) if was_running else _already(kept)
        count = _number(words)
        if words[:1] != ["ok"]:
            message = f"{count} of its processes did not end even by SIGKILL; the kernel holds them"
            return Killed(kept.spec.id, "error", message=message)
        return self._killed(self._kept(kept.spec.id), count)

    def kill_all(self, grace: float = _KILL_GRACE) -> Sequence[Killed]:
        """Kill everything that runs, side by side; for the end of a profile or a container."""
        from concurrent.futures import ThreadPoolExecutor

        running = [kept.spec.id for kept in self._collection.all() if kept.status.control]
        if not running:
            return ()
        with ThreadPoolExecutor(max_workers=min(64, len(running))) as pool:
            return tuple(pool.map(lambda process_id: self._kill_if_there(process_id, grace), running))

    def _kill_if_there(self, process_id: str, grace: float) -> Killed:
        try:
            return self.kill(process_id, grace)
        except ProcessError as error:
            return Killed(process_id, "error", message=str(error))

    def write(self, given: str, data: bytes) -> Wrote:
        """Into stdin, as it is. Raises `NotRunningError`, `StdinClosedError`."""
        if len(data) > _MOST_INPUT:
            raise ProcessError(f"{len(data)} bytes are too much for one write; send {_MOST_INPUT} at a time")
        kept = self._running(given)
        if kept.spec.stdin != "open" and not kept.spec.pty:
            raise StdinClosedError(f"{kept.spec.id} was started without stdin; start it again with one")
        request = f"write {int(_WRITE_PATIENCE * 1000)} {len(data)}"
        words = self._ask(kept, request, data, timeout=_WRITE_PATIENCE + 5)
        if words[0] == "closed":
            self._running(given)
            raise StdinClosedError(f"the stdin of {kept.spec.id} is closed; start the command again")
        return Wrote(kept.spec.id, "ok" if words[0] == "ok" else "partial", _number(words))

    def submit(self, given: str, text: str) -> Wrote:
        """Into stdin, and Enter: a newline, in a terminal a carriage return."""
        enter = "\r" if self._running(given).spec.pty else "\n"
        try:
            data = (text + enter).encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise ProcessError("the input holds what is no character, and cannot be sent") from None
        return self.write(given, data)

    def close(self, given: str) -> Closed:
        """End of file on stdin; in a terminal its end-of-file character."""
        kept = self._running(given)
        # After what other writes have not delivered yet.
        words = self._ask(kept, "close", timeout=_WRITE_PATIENCE + 10)
        return Closed(kept.spec.id, "closed" if words[1:] == ["1"] else "already_closed")

    def resize(self, given: str, rows: int, columns: int) -> None:
        """Tell a terminal its size. Raises `ProcessError` for a process without one."""
        kept = self._running(given)
        if self._ask(kept, f"resize {rows} {columns}")[0] != "ok":
            raise ProcessError(f"{kept.spec.id} has no terminal, or {rows}x{columns} is no size for one")

    def signal(self, given: str, number: int) -> None:
        """Send a signal to the command's process group."""
        kept = self._running(given)
        if self._ask(kept, f"signal {number}")[0] != "ok":
            raise NotRunningError(kept.spec.id, "it ended just now")

    # News

    def collect_events(self, cursors: Mapping[str, int], timeout: float = 0.0) -> builtins.list[News]:
        """What processes have to tell beyond `cursors` (id to cursor, 0 where there is none).

        Waits at most `timeout` seconds for the first; there may be none.
        """
        return news.collect(
            self._directory, self._collection.all, lambda kept: self._redactor(kept.spec), cursors, timeout
        )

    def events_taken(self, cursors: Mapping[str, int]) -> None:
        """Say that the events up to these cursors are kept elsewhere: the processes may be forgotten."""
        news.mark_taken(self._directory, cursors)

    # Housekeeping

    def clean(self) -> int:
        """Remove what was kept long enough and finish what was cut off; how many were removed."""
        return self._collection.clean()

    def forget(self, given: str) -> None:
        """Keep nothing of it for the half hour: it goes as soon as it and all that it left behind have ended.

        Raises `NoSuchProcessError`.
        """
        self._collection.forget(self._kept(given).spec.id)

    def running_count(self) -> int:
        return sum(kept.status.state == "running" for kept in self._collection.all())

    def has_active_processes(self, task_id: str) -> bool:
        """Whether the task has a process that is running and not older than a day."""
        return any(kept.spec.owner.task_id == task_id for kept in self._protecting())

    def has_active_for_session(self, session_key: str) -> bool:
        """Whether the session has a process that is running and not older than a day."""
        return any(kept.spec.owner.session_key == session_key for kept in self._protecting())

    def _protecting(self) -> Iterable[Kept]:
        since = self._clock() - self._limits.protects_for
        for kept in self._collection.all():
            if kept.status.state == "running" and kept.status.started_at >= since:
                yield kept

    def _kept(self, given: str) -> Kept:
        return self._collection.get(self._collection.resolve(given))

    def _running(self, given: str) -> Kept:
        kept = self._kept(given)
        if kept.status.state != "running":
            raise NotRunningError(kept.spec.id, kept.status.state)
        return kept

    def _ask(self, kept: Kept, line: str, payload: bytes = b"", *, timeout: float = 5.0) -> _Words:
        try:
            with KeeperConnection(kept.directory, kept.status.control) as keeper:
                return keeper.ask(line, payload, timeout=timeout) or ["error"]
        except KeeperUnreachableError:
            self._running(kept.spec.id)  # it has ended meanwhile: that is the better answer
            raise

    def _killed(self, kept: Kept, count: int) -> Killed:
        """What was observed: it may have ended by itself just before, and left others behind."""
        status = kept.status
        if status.state == "killed" or count:
            message = None
            if status.state != "killed":
                message = f"it had ended already ({status.state}); {count} that it left behind were ended now"
            return Killed(kept.spec.id, "killed", status.exit_code, status.signal, count, message)
        return _already(kept)

    def _preview(self, kept: Kept, redactor: Redactor) -> reading.Text:
        """The end of the output; looked at again only when there is more."""
        version = kept.spool.version()
        known = self._previews.get(kept.spec.id)
        if known is None or known[0] != version:
            if len(self._previews) > 4 * self._limits.tracked:
                self._previews.clear()
            known = version, reading.tail_text(kept.spool, _LIST_PREVIEW, redactor)
            self._previews[kept.spec.id] = known
        return known[1]

    def _uptime(self, kept: Kept) -> float:
        """Seconds, by the clock that nobody sets where it was known."""
        status = kept.status
        if status.duration is not None:
            seconds = status.duration
        elif status.state == "running" and status.started_after_boot is not None:
            seconds = time.clock_gettime(time.CLOCK_BOOTTIME) - status.started_after_boot
        else:
            seconds = (status.ended_at or self._clock()) - status.started_at
        return round(max(0.0, seconds), 3)

    def _redactor(self, spec: Spec) -> Redactor:
        found = self._redactors.get(spec.id)
        if found is None:
            if len(self._redactors) > 4 * self._limits.tracked:
                self._redactors.clear()
            found = self._redactors[spec.id] = Redactor((*self._secrets, *spec.secrets))
        return found


def _already(kept: Kept) -> Killed:
    status = kept.status
    message = f"it is {status.state} already" + (f": {status.reason}" if status.reason else "")
    return Killed(kept.spec.id, "already_exited", status.exit_code, status.signal, message=message)


def _number(words: _Words) -> int:
    return int(words[1]) if len(words) > 1 and words[1].isdecimal() else 0


def _showing(first: int, count: int, total: int, dropped: int) -> str:
    if not count:
        return f"no lines of {total}"
    text = f"lines {first + 1}-{first + count} of {total}"
    return text + (f", {dropped} bytes between them were dropped for the limit" if dropped else "")
