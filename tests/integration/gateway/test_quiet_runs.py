"""A gateway whose runs have all ended keeps nothing of them in its memory, and still does what is due."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hermes_cli.config.schema import RunsConfig
from hermes_cli.gateway.run_api import RunBody
from hermes_cli.gateway.run_tender import RunTender
from hermes_cli.home import Home
from hermes_cli.processes.profile import registry_of
from hermes_cli.runs.settled import settle, settled
from hermes_cli.runs.store import Store, open_connection
from hermes_cli.runs.types import NewEvent, RunRequest

from .harness import Gateway, Yard, until


@pytest.fixture(autouse=True)
def no_process_left(yard: Yard) -> Iterator[None]:
    yield
    registry_of(Home.of(root=yard.root)).kill_all(grace=0)


def has_store(gateway: Gateway) -> bool:
    """Whether its process has SQLite in its memory."""
    return "apsw" in Path(f"/proc/{gateway.process.pid}/maps").read_text()


def stop(gateway: Gateway) -> None:
    gateway.kill(signal.SIGTERM)
    assert gateway.ended() == 0


def ended(gateway: Gateway, message: str) -> str:
    run_id = gateway.client.runs.start(RunBody(message=message)).run_id
    return until_ended(gateway, run_id)


def until_ended(gateway: Gateway, run_id: str) -> str:
    until("its end", lambda: gateway.client.runs.get(run_id).terminal_state)
    return run_id


def test_a_gateway_that_has_had_runs_starts_without_them_and_has_them_when_asked(yard: Yard) -> None:
    home = yard.profile()
    first = yard.start(home).ready()
    assert not has_store(first)
    run_id = ended(first, "echo kept")
    assert has_store(first)
    stop(first)
    assert settled(home)

    second = yard.start(home).ready()
    assert not has_store(second)
    assert second.client.runs.get(run_id).status == "completed"
    assert has_store(second)
    stop(second)
    assert settled(home), "to look is to change nothing"


def test_a_run_that_was_open_is_taken_up_whatever_was_said_before_it(yard: Yard) -> None:
    home = yard.profile()
    first = yard.start(home).ready()
    ended(first, "true")
    stop(first)
    over = home.path / "over"
    second = yard.start(home).ready()
    started = second.client.runs.start(
        RunBody(message=f"while [ ! -e {over} ]; do sleep 0.05; done; echo so")
    )
    until("it runs", lambda: second.client.runs.get(started.run_id).status == "running")
    second.kill()
    second.ended()
    assert settled(home) is None
    third = yard.start(home).ready()
    assert has_store(third)
    over.touch()
    until_ended(third, started.run_id)
    assert third.client.runs.get(started.run_id).status == "completed"


def test_a_volume_of_an_earlier_version_is_looked_into(yard: Yard) -> None:
    home = yard.profile()
    first = yard.start(home).ready()
    ended(first, "true")
    stop(first)
    home.runs_settled.unlink()
    second = yard.start(home).ready()
    assert has_store(second)
    stop(second)
    assert settled(home)


def test_what_is_old_goes_in_a_process_of_its_own(yard: Yard) -> None:
    home = yard.profile()
    with_old_run(home)
    old = settled(home)
    assert old is not None

    async def tended() -> bool:
        return await RunTender(home, RunsConfig(keep_runs_days=1, keep_events_days=0), 0.0).tend()

    before = time.time()
    assert asyncio.run(tended())
    connection = open_connection(home.state_db)
    try:
        assert Store(connection).runs(limit=9) == []
    finally:
        connection.close()
    record = settled(home)
    assert record is not None, "it says again that no run is open"
    assert record.tended_at >= before


def test_a_store_that_is_damaged_is_said_and_the_gateway_goes_on(
    yard: Yard, capfd: pytest.CaptureFixture[str]
) -> None:
    home = yard.profile()
    home.state_db.write_bytes(b"no database at all" * 100)

    async def tended() -> bool:
        return await RunTender(home, RunsConfig(), 0.0).tend()

    assert not asyncio.run(tended())
    assert "old runs could not be looked after" in capfd.readouterr().err


def test_a_run_that_is_asked_for_while_what_is_old_goes_waits_for_nothing(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that tends is stopped in the middle; the store is as it left it."""
    from hermes_cli.config.schema import AgentConfig
    from hermes_cli.gateway import run_tender
    from hermes_cli.gateway.process_service import ProcessService
    from hermes_cli.gateway.run_service import RunService

    monkeypatch.setattr(run_tender, "_SOON", (0.0, 0.0))
    home = yard.profile()
    home.run_dir.mkdir()
    with_old_run(home)

    async def scene() -> None:
        processes = ProcessService(home)
        service = RunService(home, processes, AgentConfig(), RunsConfig(keep_runs_days=1))
        await service.start()
        assert service._runner is None
        writer = open_connection(home.state_db)
        writer.execute("BEGIN IMMEDIATE")  # it has to wait for us
        async with asyncio.timeout(20):
            while not children():
                await asyncio.sleep(0.005)
        writer.execute("ROLLBACK")
        writer.close()
        runner = await service.runner()
        assert not children()
        run, _ = await runner.submit(RunRequest(message="true"))
        async with asyncio.timeout(20):
            while (await runner.get(run.run_id)).terminal_state is None:
                await asyncio.sleep(0.01)
        service.drain()
        await service.close()
        processes.close()

    asyncio.run(scene())
    assert settled(home)


def children() -> list[str]:
    """Command lines of tending processes that this one has."""
    task = Path(f"/proc/self/task/{os.getpid()}/children")
    lines = [Path(f"/proc/{pid}/cmdline").read_bytes().decode() for pid in task.read_text().split()]
    return [line for line in lines if "runs.tending" in line]


def with_old_run(home: Home) -> None:
    """A store with one run that ended in 1970, and the word that no run is open."""
    connection = open_connection(home.state_db)
    store = Store(connection, clock=lambda: 1000.0)
    with connection:
        run, _ = store.create_run(
            *("run_00", RunRequest(message="x")), agent="shell", on_conflict="queue", new_session_id="ses_00"
        )
        store.append(run, [NewEvent(type="completed", terminal="completed")])
    connection.close()
    assert settle(home, 0.0)
