"""A gateway's process: from the lock to the drain, cheapest step first, and truthful at every one."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hermes_cli.home import CorruptFileError, Home, load
from hermes_cli.service_manager.types import RestartPolicy
from hermes_cli.serving.notify import Supervisor

from . import park
from .identity import boot_id, init_start
from .ledger import Moment, Verdict, judge
from .listeners import AddressError, open_control_socket, open_tcp
from .lock import ORPHAN_GRACE, AlreadyRunningError, HomeLock, is_orphan
from .naming import command_for
from .reasons import reason_of
from .records import IntentRecord, ParkedKind, StateRecord
from .signals import EarlySignals
from .state import StateReporter, last_state
from .supervision_log import record_event

if TYPE_CHECKING:
    from hermes_cli.config import Config

EXIT_DRAINED = 0
EXIT_ALREADY_RUNNING = 1
EXIT_TEMPORARY = 75
"""EX_TEMPFAIL of sysexits.h: another try may do."""
EXIT_CONFIG = park.EX_CONFIG

logger = logging.getLogger("hermes.gateway")


@dataclass(slots=True)
class Prepared:
    """What the serving part gets handed: everything is open, nothing heavy is imported yet."""

    home: Home
    config: Config
    reporter: StateReporter
    signals: EarlySignals
    supervisor: Supervisor
    tcp: socket.socket
    control: socket.socket | None
    faults: list[str]


class Refused(Exception):
    """The gateway is not to run. Carries the exit code; `parks` says what kind of slip to leave."""

    def __init__(self, message: str, code: int, *, parks: ParkedKind | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.parks = parks


class StaysDown(Refused):
    """It was stopped, and is to stay so. Nothing is wrong."""


def run_gateway(profile: str, root: Path | None = None) -> int:
    """Run the gateway of `profile` until told to end; return the process's exit code.

    0 after a clean drain, 1 where another gateway of this home runs, 78 where only a person can help
    (configuration, taken port, crash loop, a home that cannot be written), 75 where another try may do.
    """
    signals = EarlySignals()
    supervisor = Supervisor()
    _log_to_stderr()
    home = Home.of(profile, root)
    try:
        lock, took_over = _take_lock(home, signals)
    except Refused as refused:
        logger.error("%s", refused)
        return refused.code
    reporter = StateReporter(home)
    try:
        prepared = _prepare(home, reporter, signals, supervisor, took_over)
        if prepared is None:
            reporter.report("stopped", message="asked to end before it was ready")
            return EXIT_DRAINED
        from .serve import serve

        return serve(prepared)
    except StaysDown as refused:
        logger.info("%s", refused)
        reporter.report("stopped")
        return refused.code
    except Refused as refused:
        return _refuse(home, reporter, refused)
    finally:
        lock.release()


def _prepare(
    home: Home, reporter: StateReporter, signals: EarlySignals, supervisor: Supervisor, took_over: bool
) -> Prepared | None:
    """All steps before the heavy imports; None where a signal asked to end. Raises `Refused`."""
    _obey_intent(home)
    if not _consult_ledger(home, reporter, signals, supervisor, took_over):
        return None
    config = _configure(home)
    if signals.requested:
        return None
    host, port = config.gateway.host, config.gateway.port
    reporter.report("starting", host=host, port=port)
    try:
        tcp = open_tcp(home, host, port)
    except AddressError as error:
        raise Refused(str(error), EXIT_CONFIG, parks="config") from error
    control, faults = None, []
    try:
        control, path = open_control_socket(home)
    except OSError as error:
        faults.append(f"no control socket at {home.socket}: {reason_of(error)}")
        logger.error("%s", faults[-1])
        reporter.record.socket = None
    else:
        reporter.record.socket = str(path)
    if signals.requested:
        return None
    return Prepared(home, config, reporter, signals, supervisor, tcp, control, faults)


def _take_lock(home: Home, signals: EarlySignals) -> tuple[HomeLock, bool]:
    """The home's lock, and whether a gateway without a supervisor had to be ended for it."""
    lock, took_over = HomeLock(home), False
    for _ in range(3):
        try:
            lock.acquire()
            return lock, took_over
        except AlreadyRunningError as error:
            holder = error.holder
            if holder is None or not supervised() or not is_orphan(holder):
                raise Refused(str(error), EXIT_ALREADY_RUNNING) from error
            logger.warning("gateway %d lost its supervisor; it is ended and this one takes over", holder.pid)
            try:
                holder.end(grace=ORPHAN_GRACE)
            except PermissionError as denied:
                raise Refused(f"{error}, and belongs to another user", EXIT_ALREADY_RUNNING) from denied
            took_over = True
        except OSError as error:
            raise _unusable(home, error) from error
        if signals.requested:
            raise Refused("asked to end while it waited for the lock", EXIT_DRAINED)
    raise Refused(f"the lock {home.lock} stays taken", EXIT_TEMPORARY)


def _unusable(home: Home, error: OSError) -> Refused:
    import errno

    message = f"{home.path} cannot be used as a home: {reason_of(error)}"
    temporary = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE)
    return Refused(message, EXIT_TEMPORARY if temporary else EXIT_CONFIG)


def _obey_intent(home: Home) -> None:
    """Stay down where the last order was to stop: a host starts at boot whatever is installed.

    With the code that no init restarts on. No parking: that would be a fault to mend.
    """
    if not _started_by_a_host():
        return
    intent = _intent(home)
    if intent is not None and intent.intent == "stopped":
        command = f"{command_for(home.profile)} gateway start"
        raise StaysDown(f"stays down, as 'hermes gateway stop' left it; '{command}' starts it", EXIT_CONFIG)


def _consult_ledger(
    home: Home, reporter: StateReporter, signals: EarlySignals, supervisor: Supervisor, took_over: bool
) -> bool:
    """Wait as long as the ledger says. False where a signal asked to end; `Refused` for a crash loop."""
    previous, intent = last_state(home), _intent(home)
    if previous is not None and (took_over or _asked_by_a_person()):
        previous = msgspec.structs.replace(previous, state="stopped")
    slip = park.parked(home)
    if slip is not None and slip.kind == "crash_loop" and supervised() and not _newer(intent, slip.parked_at):
        _keep_count(reporter, previous)
        raise Refused(slip.reason, EXIT_CONFIG, parks="crash_loop")
    policy = RestartPolicy()
    verdict = judge(previous, intent, Moment(time.time(), boot_id(), init_start()), policy)
    reporter.record = msgspec.structs.replace(
        reporter.record, unclean_starts=verdict.unclean_starts, restarts=verdict.restarts
    )
    if verdict.crash_loop:
        raise Refused(verdict.crash_loop, EXIT_CONFIG, parks="crash_loop")
    if not verdict.delay:
        reporter.report("starting", message="")
        return not signals.requested
    return _back_off(verdict, reporter, signals, supervisor)


def _back_off(
    verdict: Verdict, reporter: StateReporter, signals: EarlySignals, supervisor: Supervisor
) -> bool:
    why = f"ended uncleanly {len(verdict.unclean_starts)} times; starts again after {verdict.delay:g} s"
    logger.warning("%s", why)
    reporter.report("backing_off", message=why)
    supervisor.waiting(verdict.delay, why)
    if signals.wait(verdict.delay):
        return False
    reporter.report("starting", message="")
    return True


def _configure(home: Home) -> Config:
    """Config and environment of the profile; the .env goes over what the process was started with."""
    from hermes_cli.config import ConfigError, load_config, load_env

    try:
        os.environ.update(load_env(home.env))
        config = load_config(home)
    except ConfigError as error:
        raise Refused(str(error), EXIT_CONFIG, parks="config") from error
    for warning in config.warnings:
        logger.warning("%s", warning)
    return config


def _refuse(home: Home, reporter: StateReporter, refused: Refused) -> int:
    """Leave the reason where an operator looks: state, parking slip, supervision log, stderr."""
    logger.error("%s", refused)
    reporter.report("failed", message=str(refused))
    if refused.parks:
        try:
            park.park(home, refused.parks, str(refused))
        except OSError as error:
            logger.error("%s could not be written: %s", home.parked, reason_of(error))
        from .webhook_parting import parting_word

        with parting_word(home.root):
            record_event(
                *(home.root, home.profile, "parked"),
                code=refused.code,
                detail=str(refused),
                kind=refused.parks,
            )
    return refused.code


def supervised() -> bool:
    """Whether an init keeps this process up, and would start it again."""
    return bool(os.environ.get("HERMES_SUPERVISOR"))


def _started_by_a_host() -> bool:
    """Whether that init is one of a host. In the container the boot has looked at the intent already."""
    return os.environ.get("HERMES_SUPERVISOR", "s6") != "s6"


def _asked_by_a_person() -> bool:
    """A start from a terminal is an operator's own: it neither waits nor counts."""
    return not supervised() and sys.stdin is not None and sys.stdin.isatty()


def _keep_count(reporter: StateReporter, previous: StateRecord | None) -> None:
    if previous is not None:
        reporter.record = msgspec.structs.replace(
            reporter.record, unclean_starts=previous.unclean_starts, restarts=previous.restarts
        )


def _newer(intent: IntentRecord | None, parked_at: float) -> bool:
    return intent is not None and intent.intent == "running" and intent.requested_at > parked_at


def _intent(home: Home) -> IntentRecord | None:
    try:
        return load(home.intent, IntentRecord)
    except CorruptFileError as error:
        logger.warning("%s; going on as if nothing had been asked for", error)
        return None


def _log_to_stderr() -> None:
    # A supervisor's log writes the time itself.
    form = "%(message)s" if supervised() else "%(asctime)s %(message)s"
    # A reader of stderr that has gone is no reason for anything, least of all for more words.
    logging.raiseExceptions = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(form, "%H:%M:%S"))
    for name in ("hermes.gateway", "uvicorn.error", "asyncio"):
        log = logging.getLogger(name)
        log.handlers, log.propagate = [handler], False
        log.setLevel(logging.INFO if name == "hermes.gateway" else logging.ERROR)
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.reconfigure(line_buffering=True)  # type: ignore[union-attr]
