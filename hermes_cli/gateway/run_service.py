"""The profile's runs as the gateway has them: made when there is one, or a request for one.

Nothing of runs and of their store is imported before: most gateways idle, and their memory is counted.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hermes_cli.config.schema import AgentConfig, RunsConfig
from hermes_cli.home import Home
from hermes_cli.serving.exposition import Metric

from .activity import report_activity
from .memory import give_back
from .process_service import ProcessService
from .run_metrics import RunTally

if TYPE_CHECKING:
    from hermes_cli.agents.types import Agent
    from hermes_cli.processes.redaction import Redactor
    from hermes_cli.runs.runner import Runner
    from hermes_cli.runs.settled import Settlement
    from hermes_cli.runs.types import Run

    from .run_tender import RunTender

logger = logging.getLogger("hermes.gateway")

_AFTER_TROUBLE = 30.0
_TEND_EVERY = 600.0
_QUIET = 30.0
"""Seconds without a run after which it is written down that there is nothing to take up."""


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
        self._runner: Runner | None = None
        self._settlement: Settlement | None = None
        self._tender: RunTender | None = None
        self._tended_at = 0.0
        self._redactor: Redactor | None = None
        self._agent: Agent | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._logging: set[asyncio.Task[None]] = set()
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
                if self._tender is not None:
                    await self._tender.stop()
                try:
                    self._runner = await self._make()
                except StoreError as error:
                    self.problem = str(error)
                    raise
                self.problem = ""
                life = (
                    self._tend(self._runner),
                    self._settle_when_quiet(self._runner),
                    report_activity(self.home, self._runner),
                )
                self._tasks = {asyncio.ensure_future(work) for work in life}
            return self._runner

    async def start(self) -> None:
        """Take up the runs that the last gateway left, unless it is known that there are none."""
        from hermes_cli.runs.settled import settled

        if not self.home.state_db.exists():
            return
        record = settled(self.home)
        if record is not None:
            from .run_tender import RunTender

            self._tender = RunTender(self.home, self._settings, record.tended_at)
            self._tender.start()
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
        return await runner.conversations.write(session_id)

    async def delete_session(self, session_id: str) -> int:
        """With its runs and its log; how many runs. Raises `RunError`."""
        from hermes_cli.runs import sessions

        runner = await self.runner()
        count = await runner.journal.do(lambda store: sessions.delete(store, session_id))
        await runner.conversations.remove(session_id)
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
        if self._tender is not None:
            await self._tender.stop()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._runner is not None:
            await self._runner.drain()
            if self._logging:
                await asyncio.wait(self._logging)
            await self._runner.journal.close()
            await self._settle(lambda: True)

    async def _make(self) -> Runner:
        from hermes_cli.processes.profile import secrets_of
        from hermes_cli.processes.redaction import Redactor
        from hermes_cli.runs.journal import Journal
        from hermes_cli.runs.runner import Runner, RunnerSettings
        from hermes_cli.runs.settled import Settlement, unsettle

        home, settings = self.home, self._settings
        registry = await self._processes.registry()
        workspace = self._agent_config.workspace or os.fspath(home.workspace)
        if not self._agent_config.workspace:
            home.workspace.mkdir(mode=0o700, exist_ok=True)
        self._redactor = Redactor(secrets_of(home).values)
        await asyncio.to_thread(unsettle, home)
        self._settlement = Settlement(home)
        journal = Journal(home.state_db)
        try:
            runner = Runner(
                journal,
                registry,
                self._processes.changes,
                self.agent,
                RunnerSettings(
                    profile=home.profile,
                    workspace=workspace,
                    processes=home.processes,
                    sessions=home.sessions,
                    concurrency=settings.concurrency,
                    on_conflict=settings.on_conflict,
                    deadline=settings.deadline or None,
                    stalled_after=settings.stalled_after,
                    provider=self._agent_config.provider,
                    model=self._agent_config.model,
                ),
                lease=_lease(),
            )
            runner.on_end = self._ended
            runner.masked = self.masked
            runner.making = self._settlement.making
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
        self._logging.add(task)
        task.add_done_callback(self._logging.discard)

    async def _write_log(self, session_id: str) -> None:
        from hermes_cli.runs.errors import RunError

        try:
            await self.write_log(session_id)
        except (OSError, RunError) as error:
            logger.error("the log of session %s could not be written: %s", session_id, error)

    async def _tend(self, runner: Runner) -> None:
        while True:
            patience = _TEND_EVERY
            try:
                await self._look_after(runner)
            except Exception as error:
                logger.error("old runs could not be looked after: %s", error)
                patience = _AFTER_TROUBLE
            await asyncio.sleep(patience)

    async def _look_after(self, runner: Runner) -> None:
        from hermes_cli.runs.tending import Retention, tend

        keep = self._settings
        retention = Retention(events_days=keep.keep_events_days, runs_days=keep.keep_runs_days)
        registry = await self._processes.registry()
        at_work = registry.has_active_for_session
        for session_id in await tend(
            *(runner.journal, runner.conversations, retention),
            lambda session: asyncio.to_thread(at_work, session),
        ):
            await self._write_log(session_id)
        self._tended_at = time.time()
        await self._settle(lambda: _is_quiet(runner))

    async def _settle_when_quiet(self, runner: Runner) -> None:
        """Once after the last run's end; what happens to the store later is settled with its tending."""
        done = False
        while True:
            moved = runner.moved
            try:
                async with asyncio.timeout(_QUIET if _is_quiet(runner) and not done else None):
                    await moved.wait()
                done = False
            except TimeoutError:
                await self._settle(lambda: _is_quiet(runner))
                give_back()
                done = True

    async def _settle(self, quiet: Callable[[], bool]) -> None:
        """The next gateway need not look into the store. Where that fails it will, which costs it memory."""
        from hermes_cli.runs.errors import RunError

        assert self._settlement is not None
        try:
            await self._settlement.settle(quiet, self._tended_at)
        except (OSError, RunError) as error:
            logger.warning("that no run is open could not be noted: %s", error)


def _is_quiet(runner: Runner) -> bool:
    return not any(runner.counts().values())


def agent_of(config: AgentConfig) -> Agent:
    """The agent that a profile's configuration describes."""
    if config.kind == "command":
        from hermes_cli.agents.command import CommandAgent
        from hermes_cli.config.command_line import split

        argv = split(config.command, stdin=config.message == "stdin")
        return CommandAgent(argv, config.message, config.named_inputs)
    from hermes_cli.agents.shell import ShellAgent

    return ShellAgent()


def _lease() -> str:
    from .identity import ProcessIdentity

    own = ProcessIdentity.own()
    return f"{own.pid}-{own.start}-{own.boot_id}"
