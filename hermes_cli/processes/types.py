"""The shapes of the process layer: what is asked for, what is kept on disk, what the verbs answer.

Standard library only: the same code runs inside a sandbox. Times are seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

State = Literal["running", "exited", "killed", "lost"]
"""`exited`: by itself, with a code or by a signal of its own. `killed`: because somebody asked for it.
`lost`: its keeper is gone, and with it the knowledge of how it ended."""

DEFAULT_CAP = 16 << 20
"""Bytes of disk a process may use, records included."""

MIN_CAP = 256 << 10


@dataclass(frozen=True)
class Owner:
    """Who asked for a process, and where word of it goes."""

    session_key: str | None = None
    task_id: str | None = None
    platform: str | None = None
    chat_id: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    thread_id: str | None = None


@dataclass(frozen=True)
class StartRequest:
    """A command to run in the background. Exactly one of `command` and `argv` is given."""

    command: str | None = None
    """A line for the shell (`/bin/sh -c`, or `shell`)."""
    argv: tuple[str, ...] | None = None
    """A program and its arguments, without a shell."""
    cwd: str | None = None
    """Absolute; the profile's home where None."""
    environment: dict[str, str] = field(default_factory=dict)
    """Set for the command, over what is passed on."""
    passthrough: tuple[str, ...] = ()
    """Names of variables passed on although they look like secrets."""
    shell: str | None = None
    pty: bool = False
    rows: int = 24
    columns: int = 80
    stdin: Literal["open", "null"] = "open"
    user: str | None = None
    """Whom it runs as; only root can ask for another."""
    cap_bytes: int = DEFAULT_CAP
    owner: Owner = Owner()
    seal: str = ""
    """Of the owner, by whoever starts it in a sandbox: what is told later is for the owner only with it."""
    notify_on_complete: bool = False
    watch_patterns: tuple[str, ...] = ()
    """Substrings of a line, or `re:` and a regular expression. Not together with notify_on_complete."""


@dataclass(frozen=True)
class Spec:
    """`spec.json`: what was started. Written once, before the keeper."""

    id: str
    command: str
    """As shown: the shell's line, or the arguments quoted. Not redacted on disk."""
    argv: tuple[str, ...]
    cwd: str
    created_at: float
    pty: bool = False
    stdin: str = "open"
    cap_bytes: int = DEFAULT_CAP
    owner: Owner = Owner()
    seal: str = ""
    notify_on_complete: bool = False
    watch_patterns: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    """Values that are redacted wherever the command or its output is shown."""
    version: int = 1


@dataclass(frozen=True)
class Identity:
    """A process across reboots and recycled pids: proc(5) start time in clock ticks, kernel boot id, and
    the start time of the init of its pid namespace."""

    pid: int
    start: int
    boot_id: str
    init_start: int


@dataclass(frozen=True)
class Status:
    """`status.json`: written by the keeper, atomically; by a reader only when the keeper is gone."""

    state: State
    pid: int
    """Of the command; 0 if unknown."""
    keeper: Identity | None
    started_at: float
    ended_at: float | None = None
    exit_code: int | None = None
    """0 to 255, or 128 + N for signal N."""
    signal: int | None = None
    reason: str = ""
    """Why it ended, for a person: of a kill who, of a loss what."""
    descendants: int = 0
    """Processes that the command left behind and the keeper still keeps."""
    control: str = ""
    """The control socket, in the directory or `@` and an abstract name; empty once the keeper has no more to
    do."""
    started_after_boot: float | None = None
    """Seconds: a clock that nobody sets."""
    duration: float | None = None
    """Seconds the command ran, by that clock."""
    output_bytes: int | None = None
    """All output there was, kept or not; known at the end."""
    cgroup: str = ""
    """Path of the command's own; empty where it has none."""
    version: int = 1


@dataclass(frozen=True)
class Started:
    session_id: str
    pid: int
    status: State
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listing:
    """One row of `list`."""

    session_id: str
    command: str
    cwd: str
    pid: int
    started_at: float
    uptime_seconds: float
    status: State
    output_preview: str
    exit_code: int | None = None
    signal: int | None = None
    reason: str | None = None
    descendants: int | None = None
    session_key: str | None = None
    task_id: str | None = None
    pty: bool = False
    cursor: int = 0
    """Bytes of output so far."""


@dataclass(frozen=True)
class Polled:
    """What is new since a cursor."""

    session_id: str
    command: str
    status: State
    pid: int
    uptime_seconds: float
    output_preview: str
    """The end of `output`, 1,000 characters at most."""
    cursor: int
    """Byte offset to go on from. Never inside a character."""
    output: str = ""
    """New output, ANSI stripped, secrets redacted; at most 64 KiB a call."""
    dropped_bytes: int = 0
    """Bytes between the given cursor and `output` that the cap has taken."""
    more: bool = False
    """There is more already: poll again at once."""
    end_of_output: int = 0
    """Bytes of output so far; those behind `cursor` may be the beginning of what is not whole yet."""
    exit_code: int | None = None
    signal: int | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Logged:
    """A page of lines."""

    session_id: str
    status: State
    output: str
    total_lines: int
    """Lines so far, dropped ones included; a last one without its newline counts."""
    showing: str
    """"lines 101-300 of 1234", and what of it was dropped."""
    offset: int = 0
    """Number of the first line shown, from 0."""
    dropped_bytes: int = 0


@dataclass(frozen=True)
class Waited:
    session_id: str
    status: Literal["exited", "killed", "lost", "timeout", "interrupted"]
    output: str
    """The end of the output, 64 KiB at most."""
    exit_code: int | None = None
    signal: int | None = None
    reason: str | None = None
    timeout_note: str | None = None
    """Set where the time asked for was cut to the limit, or ran out."""


@dataclass(frozen=True)
class Killed:
    session_id: str
    status: Literal["killed", "already_exited", "error"]
    """What was observed, not what was ordered."""
    exit_code: int | None = None
    signal: int | None = None
    ended: int = 0
    """Processes seen to end: the command and its descendants."""
    message: str | None = None


@dataclass(frozen=True)
class Wrote:
    """The answer of write and submit."""

    session_id: str
    status: Literal["ok", "partial"]
    """`partial`: the process does not read; only `bytes_written` went in."""
    bytes_written: int


@dataclass(frozen=True)
class Closed:
    session_id: str
    status: Literal["closed", "already_closed"]


EventType = Literal[
    "completion",
    "watch_match",
    "watch_disabled",
    "watch_overflow_tripped",
    "watch_overflow_released",
]


@dataclass(frozen=True)
class Event:
    """Word of a process, addressed to the owner that asked for it."""

    id: int
    """Grows; to be acknowledged."""
    type: EventType
    created_at: float
    session_id: str | None = None
    """None for the two overflow events, which are about all of an owner's processes together."""
    session_key: str | None = None
    command: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    status: State | None = None
    output: str | None = None
    """The matching line; for a completion the end of the output."""
    pattern: str | None = None
    suppressed: int | None = None
    message: str | None = None
    platform: str | None = None
    chat_id: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    thread_id: str | None = None


def to_json(value: Any) -> Any:
    """Dataclasses as dictionaries, fields that are None left out, tuples as lists."""
    if is_dataclass(value) and not isinstance(value, type):
        pairs = ((item.name, getattr(value, item.name)) for item in fields(value))
        return {name: to_json(part) for name, part in pairs if part is not None}
    if isinstance(value, (list, tuple)):
        return [to_json(part) for part in value]
    if isinstance(value, dict):
        return {key: to_json(part) for key, part in value.items()}
    return value
