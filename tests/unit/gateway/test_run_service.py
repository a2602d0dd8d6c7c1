"""What the gateway does for runs by itself: old ones go, idle sessions begin anew, a broken store is said."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hermes_cli.agents.assignment import Assignment
from hermes_cli.config.schema import AgentConfig, RunsConfig
from hermes_cli.gateway import run_service
from hermes_cli.gateway.activity import active_runs
from hermes_cli.gateway.identity import ProcessIdentity
from hermes_cli.gateway.process_service import ProcessService
from hermes_cli.gateway.run_service import RunService
from hermes_cli.home import Home
from hermes_cli.processes.types import Owner, StartRequest
from hermes_cli.runs import sessions
from hermes_cli.runs.errors import StoreError
from hermes_cli.runs.settled import settled
from hermes_cli.runs.types import RunRequest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are tested on Linux")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home.of(root=tmp_path / "home")
    made.path.mkdir()
    return made


@contextlib.asynccontextmanager
async def serving(home: Home, settings: RunsConfig | None = None) -> AsyncIterator[RunService]:
    processes = ProcessService(home)
    service = RunService(home, processes, AgentConfig(), settings or RunsConfig())
    try:
        yield service
    finally:
        service.drain()
        await service.close()
        registry = await processes.registry()
        await asyncio.to_thread(registry.kill_all, 0)
        processes.close()


async def ended(service: RunService, message: str, session_id: str | None = None) -> str:
    """A run that has; its session."""
    runner = await service.runner()
    run, _ = await runner.submit(RunRequest(message=message, session_id=session_id))
    async with asyncio.timeout(10):
        while (await runner.get(run.run_id)).terminal_state is None:
            tail = runner.tail(run.run_id)
            if tail is not None:
                await tail.more(tail.last_seq, 10)
    return run.session_id


def test_nothing_is_made_before_there_is_a_run(home: Home) -> None:
    async def scene() -> None:
        async with serving(home) as service:
            await service.start()
            assert service.metrics()
            assert not home.state_db.exists()
            assert not home.workspace.exists()

    asyncio.run(scene())


def test_how_many_runs_go_on_is_told_to_whoever_does_not_ask(home: Home) -> None:
    home.run_dir.mkdir(exist_ok=True)

    async def active(wanted: int) -> None:
        async with asyncio.timeout(20):
            while active_runs(home, ProcessIdentity.own()) != wanted:
                await asyncio.sleep(0.01)

    async def scene() -> None:
        async with serving(home) as service:
            runner = await service.runner()
            run, _ = await runner.submit(RunRequest(message="sleep 100"))
            await active(1)
            await runner.cancel(run.run_id)
            await active(0)

    asyncio.run(scene())


def test_a_session_that_nobody_went_on_with_begins_anew_unless_it_is_at_work(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "IDLE_RESET", 0.0)

    async def scene() -> None:
        async with serving(home) as service:
            idle, busy = await ended(service, "echo a"), await ended(service, "echo b")
            registry = await service._processes.registry()
            request = StartRequest(command="sleep 100", owner=Owner(session_key=busy))
            await asyncio.to_thread(registry.start, request)
            runner = await service.runner()
            await service._look_after(runner)
            reset = {
                session.session_id: session.reset_at
                for session in await runner.journal.read(lambda store: store.sessions())
            }
            assert reset[idle] == pytest.approx(time.time(), abs=10)
            assert reset[busy] is None
            log = [json.loads(line) for line in (await service.write_log(idle)).read_text().splitlines()]
            assert [line["type"] for line in log] == ["message", "answer", "reset"]

    asyncio.run(scene())


def test_events_and_runs_go_when_their_days_are_over(home: Home) -> None:
    async def scene() -> None:
        async with serving(home, RunsConfig(keep_events_days=1e-9, keep_runs_days=0)) as service:
            session = await ended(service, "echo kept")
            runner = await service.runner()
            await asyncio.sleep(0.01)
            await service._look_after(runner)
            (run,) = await runner.journal.read(lambda store: store.runs(session_id=session, limit=9))
            assert run.first_seq == run.last_seq
            assert await runner.journal.read(lambda store: store.snapshot(run.run_id)) == "kept\n"
        async with serving(home, RunsConfig(keep_runs_days=1e-9)) as service:
            runner = await service.runner()
            log = await service.write_log(session)
            assert log.exists()
            await asyncio.sleep(0.01)
            await service._look_after(runner)
            assert await runner.journal.read(lambda store: store.runs(limit=9)) == []
            assert not log.exists()

    asyncio.run(scene())


def test_a_store_that_is_none_is_a_problem_and_mended_when_it_is_gone(home: Home) -> None:
    home.state_db.write_bytes(b"no database at all" * 100)

    async def scene() -> None:
        async with serving(home) as service:
            await service.start()
            assert "state.db" in service.problem
            with pytest.raises(StoreError):
                await service.runner()
            home.state_db.unlink()
            await ended(service, "true")
            assert service.problem == ""

    asyncio.run(scene())


def test_once_it_is_quiet_it_is_said_until_the_next_run_begins(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever kills the gateway then leaves a home that needs no look."""
    monkeypatch.setattr(run_service, "_QUIET", 0.01)

    async def quiet() -> None:
        async with asyncio.timeout(20):
            while settled(home) is None:
                await asyncio.sleep(0.01)

    async def scene() -> None:
        async with serving(home) as service:
            session = await ended(service, "true")
            await quiet()
            runner = await service.runner()
            run, _ = await runner.submit(RunRequest(message="sleep 100", session_id=session))
            assert settled(home) is None
            assert not home.runs_settled.exists()
            await service._look_after(runner)
            assert settled(home) is None, "to look after others is not to be quiet"
            await runner.cancel(run.run_id)
            await quiet()

    asyncio.run(scene())


def test_no_run_begins_where_it_cannot_be_taken_back(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_service, "_QUIET", 0.01)

    def fails(directory: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    async def scene() -> None:
        async with serving(home) as service:
            await ended(service, "true")
            async with asyncio.timeout(20):
                while settled(home) is None:
                    await asyncio.sleep(0.01)
            runner = await service.runner()
            with monkeypatch.context() as broken:
                broken.setattr("hermes_cli.runs.settled.sync_directory", fails)
                with pytest.raises(StoreError, match="no run begins"):
                    await runner.submit(RunRequest(message="true"))
            assert len(await runner.journal.read(lambda store: store.runs(limit=9))) == 1
            await ended(service, "true")

    asyncio.run(scene())


def test_an_agent_is_what_the_configuration_says(home: Home) -> None:
    assert run_service.agent_of(AgentConfig()).name == "shell"
    config = AgentConfig(kind="command", command="sh -c 'cat; echo \"$0\"'", message="stdin", inputs="model")
    agent = run_service.agent_of(config)
    assert (agent.name, sorted(agent.controls)) == ("command", ["cancel"])
    assert agent.inputs == {"model"}
    task = Assignment(run_id="run_1", session_id="ses_1", profile="default", workspace="/", message="hi")
    assert agent.process(task).argv == ("sh", "-c", 'cat; echo "$0"')
