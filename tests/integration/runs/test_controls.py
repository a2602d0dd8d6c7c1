"""Cancelling, allowing, deadlines and silence: each said once, and nobody left alive."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from hermes_cli.agents.command import CommandAgent
from hermes_cli.runs.types import Run

from .harness import House, assert_whole, house, marked_alive, wait_for

STUBBORN = "trap '' TERM; echo up; while :; do sleep 0.05; done"
FAMILY = "(setsid sh -c 'trap \"\" TERM; while :; do sleep 0.05; done' &) ; sleep 100 & echo up; wait"


def _said(run: Run) -> bool:
    return run.output_cursor > 0


async def _cancelled(here: House, run: Run) -> None:
    answer = await here.runner.cancel(run.run_id)
    assert answer.accepted
    ended = await here.ended(run.run_id, 20.0)
    assert (ended.status, ended.terminal_state) == ("cancelled", "cancelled")
    assert_whole(await here.events(run.run_id))


def test_a_queued_run_is_cancelled_without_ever_beginning(home: Path) -> None:
    async def scene() -> None:
        async with house(home, concurrency=1) as here:
            first = await here.submit("sleep 100")
            second = await here.submit("echo ran >>counter")
            assert second.status == "queued"
            tail = here.runner.tail(second.run_id)
            assert tail is not None
            following = asyncio.create_task(tail.more(0, 10.0))
            await _cancelled(here, second)
            assert await following, "whoever followed it in the queue hears of its end"
            assert [event["type"] for event in await here.events(second.run_id)] == ["cancelled"]
            assert not (await here.runner.cancel(second.run_id)).accepted
            await _cancelled(here, first)
            assert not (home / "counter").exists()

    asyncio.run(scene())


@pytest.mark.parametrize("command", ["echo up; sleep 100", STUBBORN, FAMILY])
def test_a_cancelled_run_leaves_nobody_alive(
    home: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hermes_cli.runs.execution._KILL_GRACE", 0.5)

    async def scene() -> None:
        async with house(home) as here:
            run = await here.submit(command)
            await here.until(run.run_id, _said)
            await _cancelled(here, run)
            assert marked_alive(home) == []
            types = [event["type"] for event in await here.events(run.run_id)]
            assert types.count("cancelling") == 1

    asyncio.run(scene())


def test_twenty_cancelled_at_once_all_end_and_nothing_else_waits(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hermes_cli.runs.execution._KILL_GRACE", 0.5)

    async def scene() -> None:
        async with house(home, concurrency=21) as here:
            runs = [await here.submit(STUBBORN) for _ in range(20)]
            await asyncio.gather(*(here.until(run.run_id, _said, 30.0) for run in runs))
            answers = await asyncio.gather(*(here.runner.cancel(run.run_id) for run in runs for _ in "12"))
            assert all(answer.accepted for answer in answers)
            other = await here.submit("echo meanwhile")
            assert (await here.ended(other.run_id, 5.0)).status == "completed"
            ended = await asyncio.gather(*(here.ended(run.run_id, 30.0) for run in runs))
            assert {run.status for run in ended} == {"cancelled"}
            for run in ended:
                events = await here.events(run.run_id)
                assert_whole(events)
                assert [event["type"] for event in events].count("cancelling") == 1
            assert marked_alive(home) == []

    asyncio.run(scene())


def test_a_flood_of_output_does_not_hide_a_cancellation(home: Path) -> None:
    async def scene() -> None:
        async with house(home) as here:
            run = await here.submit("yes something to say")
            await here.until(run.run_id, _said)
            await _cancelled(here, run)
            assert marked_alive(home) == []

    asyncio.run(scene())


def test_whoever_cancels_and_goes_away_has_cancelled(home: Path) -> None:
    """A caller that is gone in the middle of the write: the journal and the run agree all the same."""

    async def scene() -> None:
        async with house(home) as here:
            run = await here.submit("echo up; sleep 100")
            await here.until(run.run_id, _said)
            asking = asyncio.create_task(here.runner.cancel(run.run_id))
            await asyncio.sleep(0)  # it has asked, and has no answer yet
            asking.cancel()
            ended = await here.ended(run.run_id)
            assert ended.status == "cancelled"
            assert_whole(await here.events(run.run_id))
            starting = asyncio.create_task(here.submit("echo ran", key="gone"))
            for _ in range(3):
                await asyncio.sleep(0)
            starting.cancel()
            again = await here.submit("echo ran", key="gone")
            assert (await here.ended(again.run_id)).status == "completed"

    asyncio.run(scene())


DANGEROUS = "rm -rf {}/precious; echo ran >>counter"


def test_a_dangerous_command_waits_and_what_is_allowed_runs_once(home: Path) -> None:
    async def scene() -> None:
        (home / "precious").mkdir()
        async with house(home, concurrency=1) as here:
            run = await here.submit(DANGEROUS.format(home))
            waiting = await here.until(run.run_id, lambda run: run.pending_approval_id is not None)
            assert (waiting.status, (home / "precious").exists()) == ("awaiting_approval", True)
            other = await here.submit("echo meanwhile")
            assert (await here.ended(other.run_id)).status == "completed", "who waits takes no place"
            assert (await here.runner.decide(run.run_id, "apr_other", True)).status == "expired"
            pending = waiting.pending_approval_id
            answers = await asyncio.gather(
                *(here.runner.decide(run.run_id, pending, approve) for approve in (True, False, True))
            )
            assert [answer.status for answer in answers] == ["accepted", "conflict", "conflict"]
            assert (await here.ended(run.run_id)).status == "completed"
            assert (await here.runner.decide(run.run_id, pending, True)).status == "not-active"
            assert (home / "counter").read_text() == "ran\n"
            types = [event["type"] for event in await here.events(run.run_id)]
            assert types == ["started", "approval_requested", "approval_granted", "completed"]

    asyncio.run(scene())


def test_what_is_denied_ends_and_is_not_asked_for_again(home: Path) -> None:
    async def scene() -> None:
        async with house(home) as here:
            run = await here.submit(DANGEROUS.format(home))
            await here.until(run.run_id, lambda run: run.pending_approval_id is not None)
            assert (await here.runner.decide(run.run_id, None, False)).accepted
            ended = await here.ended(run.run_id)
            assert (ended.status, ended.reason) == ("cancelled", "it was not allowed")
        async with house(home) as here:
            types = [event["type"] for event in await here.events(run.run_id)]
            assert types == ["started", "approval_requested", "approval_denied", "cancelled"]
            assert not (home / "counter").exists()

    asyncio.run(scene())


def test_an_approval_outlives_the_gateway_and_a_granted_one_is_not_asked_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with house(home) as here:
            run = await here.submit(DANGEROUS.format(home))
            first = await here.until(run.run_id, lambda run: run.pending_approval_id is not None)
        with monkeypatch.context() as patched:
            # The gateway ends right behind the grant: nothing more is written by it.
            patched.setattr("hermes_cli.runs.execution.Execution._begin_with", lambda self, _: _nothing)
            async with house(home) as here:
                second = await here.runner.get(run.run_id)
                assert second.pending_approval_id == first.pending_approval_id
                assert (await here.runner.decide(run.run_id, first.pending_approval_id, True)).accepted
                here.runner._executions[run.run_id].task.cancel()
        async with house(home) as here:
            ended = await here.ended(run.run_id)
            assert ended.status == "completed"
            types = [event["type"] for event in await here.events(run.run_id)]
            assert types.count("approval_requested") == types.count("approval_granted") == 1
            assert (home / "counter").read_text() == "ran\n"

    asyncio.run(scene())


def _nothing(run: Run) -> None:
    return None


def test_a_run_that_waits_to_be_allowed_can_be_cancelled(home: Path) -> None:
    async def scene() -> None:
        async with house(home) as here:
            run = await here.submit(DANGEROUS.format(home))
            await here.until(run.run_id, lambda run: run.pending_approval_id is not None)
            await _cancelled(here, run)
            assert (await here.runner.decide(run.run_id, None, True)).status == "not-active"

    asyncio.run(scene())


def test_a_deadline_ends_what_runs_what_waits_and_what_is_queued(home: Path) -> None:
    async def scene() -> None:
        async with house(home, concurrency=1) as here:
            dangerous = await here.submit(DANGEROUS.format(home), deadline_seconds=0.6)
            await here.until(dangerous.run_id, lambda run: run.pending_approval_id is not None)
            running = await here.submit("echo up; sleep 100", deadline_seconds=1.0)
            queued = await here.submit("echo ran >>counter", deadline_seconds=0.3)
            for run in (dangerous, running, queued):
                ended = await here.ended(run.run_id)
                assert (ended.status, bool(ended.reason)) == ("expired", True)
                assert_whole(await here.events(run.run_id))
            assert marked_alive(home) == []
            assert not (home / "counter").exists()

    asyncio.run(scene())


def test_silence_is_said_once_and_its_end_too(home: Path) -> None:
    async def scene() -> None:
        os.mkfifo(home / "gate")
        async with house(home, stalled_after=0.3) as here:
            run = await here.submit("echo a; read x <gate; echo b")
            stalled = await here.until(run.run_id, lambda run: run.stalled_since is not None)
            assert stalled.status == "running"
            await asyncio.sleep(0.7)  # longer than another silence: it is not said twice
            (home / "gate").write_text("go\n")
            ended = await here.ended(run.run_id)
            assert (ended.status, ended.stalled_since) == ("completed", None)
            types = [event["type"] for event in await here.events(run.run_id)]
            assert types == ["started", "delta", "stalled", "resumed", "delta", "completed"]
            # The last words and the end may be seen in one look: the silence is over all the same.
            last = await here.submit("sleep 0.6; echo b")
            await here.ended(last.run_id)
            types = [event["type"] for event in await here.events(last.run_id)]
            assert types == ["started", "stalled", "resumed", "delta", "completed"]

    asyncio.run(scene())


def test_a_keeper_that_is_killed_interrupts_its_run_once_with_the_reason(home: Path) -> None:
    async def scene() -> None:
        async with house(home) as here:
            run = await here.submit("echo up; sleep 100")
            begun = await here.until(run.run_id, _said)
            status = here.registry.look(begun.process_id or "").status
            assert status.keeper is not None
            os.kill(status.keeper.pid, signal.SIGKILL)
            ended = await here.ended(run.run_id)
            assert ended.status == "interrupted"
            assert "keeper" in ended.reason
            await wait_for(lambda: not marked_alive(home), "nobody is left")
        async with house(home) as here:
            events = await here.events(run.run_id)
            assert_whole(events)
            assert [event["type"] for event in events].count("interrupted") == 1

    asyncio.run(scene())


def test_a_message_of_any_size_reaches_stdin_whole(home: Path) -> None:
    async def scene() -> None:
        message = "é\0\n" * 700_000
        async with house(home, agent=CommandAgent(("wc", "-c"), "stdin")) as here:
            run = await here.submit(message)
            assert (await here.ended(run.run_id)).status == "completed"
            (delta,) = [one for one in await here.events(run.run_id) if one["type"] == "delta"]
            assert int(delta["payload"]["text"]) == len(message.encode())

    asyncio.run(scene())


def test_a_run_keeps_the_agent_that_it_was_made_for(home: Path) -> None:
    async def scene() -> None:
        async with house(home, concurrency=1) as here:
            first = await here.submit("echo up; sleep 0.5; echo down")
            await here.until(first.run_id, _said)
            second = await here.submit("echo of the shell")
        async with house(home, agent=CommandAgent(("false",))) as here:
            for run in (first, second):
                assert (await here.ended(run.run_id)).status == "completed"

    asyncio.run(scene())
