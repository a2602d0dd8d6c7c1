"""The serving part of a gateway's life: open, prove it answers, announce it, drain."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from pathlib import Path

from hermes_cli.serving.server import HttpServer, answers

from .app import make_app
from .listeners import url_of
from .memory import shrink
from .park import clear
from .process_background import ProcessKeeping
from .process_service import ProcessService
from .reasons import reason_of
from .run import EXIT_DRAINED, EXIT_TEMPORARY, Prepared
from .run_service import RunService
from .runtime import Runtime
from .signals import ENDING
from .supervision_log import record_event
from .webhook import WebhookFollower

logger = logging.getLogger("hermes.gateway")


def serve(prepared: Prepared) -> int:
    """Serve until asked to end; return the exit code."""
    # Said to this process alone: a `gateway run` below it is in no slot.
    os.environ.pop("HERMES_SUPERVISOR", None)
    return asyncio.run(_serve(prepared))


async def _serve(prepared: Prepared) -> int:
    home, reporter, config = prepared.home, prepared.reporter, prepared.config.gateway
    ending, hurry = asyncio.Event(), asyncio.Event()
    _listen_to_signals(prepared, ending, hurry)
    processes = ProcessService(home, prepared.config.terminal.environment)
    runtime = Runtime(
        home=home,
        reporter=reporter,
        token=config.token,
        drain_timeout=config.drain_timeout,
        url=url_of(config.host, config.port),
        processes=processes,
        runs=RunService(home, processes, prepared.config.agent, prepared.config.runs),
        warnings=list(prepared.config.warnings),
        faults=prepared.faults,
    )
    if not config.token:
        runtime.warnings.append("no token is set: only the control socket answers")
        logger.warning("no HERMES_GATEWAY_TOKEN in %s: only the control socket answers", home.env)
    server = HttpServer(make_app(runtime), runtime.connections)
    listeners = [listener for listener in (prepared.tcp, prepared.control) if listener]
    await server.open(listeners)
    if not ending.is_set():
        proven = await asyncio.gather(*(answers(listener) for listener in listeners))
        if not all(proven):
            logger.error("a listener does not answer its own gateway; giving up, so that another try is made")
            reporter.report("starting", message="a listener did not answer")
            return EXIT_TEMPORARY
    keeping = ProcessKeeping(runtime.processes)
    webhook = WebhookFollower(home.root)
    if not ending.is_set():
        # Before old processes are forgotten: what a run's process has said is taken first.
        await runtime.runs.start()
        _announce(prepared, runtime)
        keeping.start()
        webhook.start(runtime.processes.changes)
        shrink()
        await ending.wait()
    await _drain(prepared, runtime, server, hurry)
    await runtime.runs.close()
    await keeping.stop()
    await webhook.stop()
    runtime.processes.close()
    return EXIT_DRAINED


def _listen_to_signals(prepared: Prepared, ending: asyncio.Event, hurry: asyncio.Event) -> None:
    def requested() -> None:
        (hurry if ending.is_set() else ending).set()

    loop = asyncio.get_running_loop()
    for number in ENDING:
        try:
            loop.add_signal_handler(number, requested)
        except NotImplementedError:  # Windows' loops have none
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(requested))
    if prepared.signals.hand_over():
        ending.set()


def _announce(prepared: Prepared, runtime: Runtime) -> None:
    home, reporter = prepared.home, prepared.reporter
    runtime.ready = True
    problems = runtime.problems()
    reporter.report("degraded" if problems else "running", ready_at=time.time(), message="; ".join(problems))
    # Only now: a start that fails leaves the reason of the one before it in place.
    try:
        clear(home)
    except OSError as error:
        logger.error("%s could not be removed: %s", home.parked, reason_of(error))
    runtime.journal.append("degraded" if problems else "ready", "; ".join(problems))
    record_event(home.root, home.profile, "ready", detail=runtime.url)
    logger.info("ready at %s", runtime.url)
    prepared.supervisor.ready()


async def _drain(prepared: Prepared, runtime: Runtime, server: HttpServer, hurry: asyncio.Event) -> None:
    home, reporter = prepared.home, prepared.reporter
    began = time.monotonic()
    runtime.journal.drain("asked to end")
    runtime.processes.drain()
    runtime.runs.drain()
    server.refuse_tcp()
    prepared.supervisor.stopping()
    reporter.report("draining", message="")
    if runtime.ready:
        record_event(home.root, home.profile, "draining")
    cut = await server.drain(runtime.drain_timeout, hurry)
    if reporter.record.socket:
        with contextlib.suppress(OSError):
            Path(reporter.record.socket).unlink()
    message = f"{cut} connections were cut at the end of the drain" if cut else ""
    reporter.report("stopped", ready_at=None, socket=None, message=message)
    logger.info("drained in %.2f s%s", time.monotonic() - began, f"; {message}" if message else "")
