"""The profile's runs as the gateway has them: made when there is one, or a request for one.

Nothing of runs and of their store is imported before: most gateways idle, and their memory is counted.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hermes_cli.config.schema import AgentConfig, RunsConfig
from hermes_cli.home import Home
from hermes_cli.serving.exposition import Metric

from .activity import report_activity
from .process_service import ProcessService
from .run_metrics import RunTally

if TYPE_CHECKING:
    from hermes_cli.agents.types import Agent
    from hermes_cli.processes.redaction import Redactor
    from hermes_cli.runs.runner import Runner
    from hermes_cli.runs.session_log import SessionLogs
    from hermes_cli.runs.types import Run

logger = logging.getLogger("hermes.gateway")

_AFTER_TROUBLE = 30.0
_TEND_EVERY = 600.0
_DAY = 86400.0
IDLE_RESET = _DAY
"""Seconds after which a session that nobody went on with begins its conversation anew."""


class RunService:
    """One for a gateway's life."""

    def __init__(
        self, home: Home, processes: ProcessService, agent: AgentConfig, settings: RunsConfig
    ) -> None:
        self.home = home
        self.problem = ""
        """Why there are no runs; empty while there can be."""
        self.draining = asyncio.Event()
        self.readers = 0
        """Open streams of events."""
        self._processes = processes
        self._agent_config = agent
        self._settings = settings
        self._making = asyncio.Lock()
        self._logging = asyncio.Lock()
        self._runner: Runner | None = None
        self._logs: SessionLogs | None = None
        self._redactor: Redactor | None = None
        self._agent: Agent | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._tally = RunTally()

    @property
    def agent(self) -> Agent:
        """The profile's, as it is configured."""
        if self._agent is None:
            self._agent = agent_of(self._agent_config)
        return self._agent

    async def runner(self) -> Runner:
        """The runner, with whatever the last gateway left taken up. Raises `RunError`, `ProcessError`."""
        async with self._making:
            if self._runner is None:
                from hermes_cli.runs.errors import DrainingError, StoreError

                if self._closed:
                    raise DrainingError("this gateway is shutting down; ask the next one")
                try:
                    self._runner = await self._make()
                except StoreError as error:
                    self.problem = str(error)
                    raise
                self.problem = ""
                reporting = report_activity(self.home, self._runner)
                self._tasks = {asyncio.ensure_future(work) for work in (self._tend(self._runner), reporting)}
            return self._runner

    async def start(self) -> None:
        """Take up the runs that the last gateway left, where there ever were any."""
        if not self.home.state_db.exists():
            return
        try:
            await self.runner()
        except Exception as error:
            self.problem = f"runs cannot be taken up: {error or type(error).__name__}"
            logger.error("%s", self.problem, exc_info=None if isinstance(error, OSError) else error)

    def masked(self, text: str) -> str:
        """`text` without the profile's secrets. The runner is made."""
        return self._redactor.text(text) if self._redactor is not None else text

    async def write_log(self, session_id: str) -> Path:
        """Put into the session's log what has ended by now; its path, where there may be nothing yet.

        Raises `RunError`, OSError.
        """
        runner = await self.runner()
        logs = self._logs
        assert logs is not None
        more = True
        while more:
            async with self._logging:
                position, since = await asyncio.to_thread(logs.position, session_id)
                lines, more = await runner.journal.read(
                    lambda store, since=since: logs.missing(store, session_id, since)  # type: ignore[misc]
                )
                await asyncio.to_thread(logs.append, session_id, position, lines)
        return logs.path(session_id)

    async def delete_session(self, session_id: str) -> int:
        """With its runs and its log; how many runs. Raises `RunError`."""
        from hermes_cli.runs import sessions

        runner = await self.runner()
        count = await runner.journal.do(lambda store: sessions.delete(store, session_id))
        assert self._logs is not None
        async with self._logging:
            await asyncio.to_thread(self._logs.remove, session_id)
        return count

    def metrics(self) -> list[Metric]:
        """Those in hand, and those that ended in this gateway's hands."""
        states, stalled = self._runner.census() if self._runner is not None else ({}, 0)
        return self._tally.metrics(states, stalled, self.readers, self.home.state_db)

    def drain(self) -> None:
        """No wait goes on; every stream ends with its marker. The runs themselves go on."""
        self.draining.set()

    async def close(self) -> None:
        """Let go of the runs: the next gateway takes them up."""
        async with self._making:
            self._closed = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._runner is not None:
            await self._runner.drain()
            await self._runner.journal.close()

    async def _make(self) -> Runner:
        from hermes_cli.processes.profile import secrets_of
        from hermes_cli.processes.redaction import Redactor
        from hermes_cli.runs.journal import Journal
        from hermes_cli.runs.runner import Runner, RunnerSettings
        from hermes_cli.runs.session_log import SessionLogs

        home, settings = self.home, self._settings
        registry = await self._processes.registry()
        workspace = self._agent_config.workspace or os.fspath(home.workspace)
        if not self._agent_config.workspace:
            home.workspace.mkdir(mode=0o700, exist_ok=True)
        self._redactor = Redactor(secrets_of(home).values)
        self._logs = SessionLogs(home.sessions, self._redactor.text)
        journal = Journal(home.state_db)
        try:
            runner = Runner(
                journal,
                registry,
                self._processes.changes,
                self.agent,
                RunnerSettings(
                    workspace=workspace,
                    processes=home.processes,
                    concurrency=settings.concurrency,
                    on_conflict=settings.on_conflict,
                    deadline=settings.deadline or None,
                    stalled_after=settings.stalled_after,
                ),
                lease=_lease(),
            )
            runner.on_end = self._ended
            runner.masked = self.masked
            taken_up = await runner.adopt()
        except BaseException:
            await journal.close()
            raise
        if taken_up:
            logger.info("%d runs of the last gateway are taken up", taken_up)
        return runner

    def _ended(self, run: Run) -> None:
        """Write the session's log. What a crash leaves out is written with the session's next look."""
        self._tally.ended(run)
        task = asyncio.ensure_future(self._write_log(run.session_id))
        _background.add(task)
        task.add_done_callback(_background.discard)

    async def _write_log(self, session_id: str) -> None:
        from hermes_cli.runs.errors import RunError

        try:
            await self.write_log(session_id)
        except (OSError, RunError) as error:
            logger.error("the log of session %s could not be written: %s", session_id, error)

    async def _tend(self, runner: Runner) -> None:
        """What goes by time: events and runs that were kept long enough, sessions nobody went on with."""
        while True:
            patience = _TEND_EVERY
            try:
                await self._look_after(runner)
            except Exception as error:
                logger.error("old runs could not be looked after: %s", error)
                patience = _AFTER_TROUBLE
            await asyncio.sleep(patience)

    async def _look_after(self, runner: Runner) -> None:
        now = time.time()
        for days, remove in (
            (self._settings.keep_events_days, "expire_events"),
            (self._settings.keep_runs_days, "remove_runs"),
        ):
            before = now - days * _DAY
            # In pieces: a run that goes on waits for none of it long.
            while days and await runner.journal.do(
                lambda store, verb=remove, before=before: getattr(store, verb)(before)  # type: ignore[misc]
            ):
                pass
        await self._reset_idle(runner, now)
        await self._remove_logs(runner)

    async def _remove_logs(self, runner: Runner) -> None:
        """A session that was forgotten leaves no log behind."""
        from hermes_cli.runs import sessions

        assert self._logs is not None
        async with self._logging:
            logged = await asyncio.to_thread(self._logs.sessions)
            gone = await runner.journal.read(lambda store: sessions.unknown(store, logged))
            for session_id in gone:
                await asyncio.to_thread(self._logs.remove, session_id)

    async def _reset_idle(self, runner: Runner, now: float) -> None:
        from hermes_cli.runs import sessions

        registry = await self._processes.registry()
        idle = await runner.journal.read(lambda store: sessions.idle_sessions(store, now - IDLE_RESET))
        for session_id in idle:
            if await asyncio.to_thread(registry.has_active_for_session, session_id):
                continue
            await runner.journal.do(lambda store, one=session_id: sessions.reset(store, one, now))  # type: ignore[misc]
            await self._write_log(session_id)


_background: set[asyncio.Task[None]] = set()


def agent_of(config: AgentConfig) -> Agent:
    """The agent that a profile's configuration describes."""
    if config.kind == "command":
        import shlex

        from hermes_cli.agents.command import CommandAgent

        return CommandAgent(tuple(shlex.split(config.command)), config.message)
    from hermes_cli.agents.shell import ShellAgent

    return ShellAgent()


def _lease() -> str:
    from .identity import ProcessIdentity

    own = ProcessIdentity.own()
    return f"{own.pid}-{own.start}-{own.boot_id}"
