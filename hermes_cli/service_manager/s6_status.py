"""Reading s6-svstat and s6-svdt: their fields, never their sentences."""

from __future__ import annotations

from typing import NamedTuple

from .types import RestartPolicy, ServiceStatus

FIELDS = "up,wantedup,normallyup,ready,pid,exitcode,signal,updownsince,readysince"
"""Known to s6 2.11, 2.13 and 2.15 alike. The plain output changed with 2.13."""

_TAI_EPOCH = 1 << 62
"""TAI64 label of 1970-01-01 00:00:00 TAI (cr.yp.to/libtai/tai64.html)."""

_TAI_MINUS_UTC = 37
"""Seconds, since 2017-01-01 (IERS Bulletin C 52); skalibs counts leap seconds too. No other is planned."""

_ORDERED_ENDS = ("exitcode 0", "signal SIGTERM")
"""A clean exit, or death by the signal that s6 itself sends to stop a service."""


class SvStat(NamedTuple):
    """One look at a supervised service. Times are seconds since the epoch."""

    up: bool
    wanted: bool
    normally_up: bool
    """There is no `down` file."""
    ready: bool
    pid: int | None
    exit_code: int | None
    exit_signal: str | None
    since: float
    """When it last went up or died."""
    ready_since: float
    """When it was last ready, or really down: after its finish script."""

    @property
    def finishing(self) -> bool:
        """Dead, and its finish script runs."""
        return not self.up and self.ready_since < self.since

    @property
    def stopped(self) -> bool:
        """Down by order, through with its finish script, and marked to stay down."""
        return not (self.up or self.wanted or self.normally_up or self.finishing)

    @property
    def parked(self) -> bool:
        """finish exited 125: not to be restarted, though nobody ordered it down (there is no `down` file)."""
        return not self.up and not self.wanted and self.normally_up

    def in_words(self) -> str:
        """For the message of a timeout."""
        if self.up:
            words = "ready" if self.ready else "up, not ready"
            return f"{words}, pid {self.pid}" + ("" if self.wanted else ", told to stop")
        words = "its finish script runs" if self.finishing else "down"
        return f"{words}, {'wanted up' if self.wanted else 'wanted down'}, {self.last_end()}"

    def last_end(self) -> str:
        """How the last run ended."""
        if self.exit_signal:
            return f"last ended by {self.exit_signal}"
        return f"last exit code {self.exit_code}"


class Deaths(NamedTuple):
    """The death tally of a service since its supervisor started; s6 keeps the last hundred."""

    unclean: int
    exit_code: int | None
    exit_signal: str | None


def parse_svstat(line: str) -> SvStat:
    """Read one line of `s6-svstat -o FIELDS`; raises ValueError for anything else."""
    try:
        up, wanted, normally_up, ready, pid, exit_code, exit_signal, since, ready_since = line.split()
        return SvStat(
            up=up != "false",
            wanted=wanted == "true",
            normally_up=normally_up == "true",
            ready=ready == "true",
            pid=int(pid) if int(pid) > 0 else None,
            exit_code=int(exit_code) if int(exit_code) >= 0 else None,
            exit_signal=None if exit_signal == "NA" else exit_signal,
            since=tai64n_to_epoch(since),
            ready_since=tai64n_to_epoch(ready_since),
        )
    except ValueError as error:
        raise ValueError(f"not the fields asked of s6-svstat: {line.strip()!r}") from error


def parse_svdt(text: str, policy: RestartPolicy | None = None) -> Deaths:
    """Read the output of `s6-svdt`: lines of "@TAI64N exitcode N" or "@TAI64N signal SIGNAME", oldest first.

    An end by order or with one of `policy`'s permanent exit codes does not count as unclean.
    """
    permanent = tuple(f"exitcode {code}" for code in (policy or RestartPolicy()).permanent_exit_codes)
    ends = [line.partition(" ")[2].strip() for line in text.splitlines() if line.startswith("@")]
    unclean = sum(end not in _ORDERED_ENDS and end not in permanent for end in ends)
    how, _, value = (ends[-1] if ends else "").partition(" ")
    return Deaths(
        unclean,
        int(value) if how == "exitcode" and value.isdecimal() else None,
        value if how == "signal" else None,
    )


def tai64n_to_epoch(label: str) -> float:
    """Seconds since the epoch of a TAI64N label, "@" and 24 hexadecimal digits; raises ValueError."""
    digits = label.removeprefix("@")
    if len(digits) != 24:
        raise ValueError(f"not a TAI64N label: {label!r}")
    return int(digits[:16], 16) - _TAI_EPOCH - _TAI_MINUS_UTC + int(digits[16:], 16) / 1e9


def to_status(name: str, stat: SvStat, deaths: Deaths | None) -> ServiceStatus:
    """The library's status of service `name`."""
    exit_code, exit_signal = stat.exit_code, stat.exit_signal
    if stat.up and deaths is not None:  # s6-svstat tells the last end of a dead service only
        exit_code, exit_signal = deaths.exit_code, deaths.exit_signal
    elif stat.since == stat.ready_since and not stat.up and deaths is not None and not deaths.unclean:
        exit_code = exit_signal = None  # it never ran: s6-svstat says exit code 0
    return ServiceStatus(
        name=name,
        registered=True,
        running=stat.up,
        ready=stat.ready,
        wanted=stat.wanted,
        parked=stat.parked,
        pid=stat.pid,
        since=stat.since,
        ready_since=stat.ready_since if stat.ready else None,
        exit_code=exit_code,
        exit_signal=exit_signal,
        restarts=deaths.unclean if deaths else None,
        detail=stat.in_words(),
    )
