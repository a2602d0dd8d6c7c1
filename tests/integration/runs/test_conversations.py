"""What a real program is told of its run and of the conversation, before it starts and after a reset."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from hermes_cli.agents.command import CommandAgent
from hermes_cli.config.command_line import split
from hermes_cli.processes.types import Owner, StartRequest
from hermes_cli.runs import sessions
from hermes_cli.runs.errors import BadRequestError, UnsupportedError
from hermes_cli.runs.types import Run

from .harness import House, house, text_of, wait_for

TELL = 'env | grep ^HERMES_ | sort; echo --; cat "$HERMES_SESSION_LOG"'


async def said(here: House, run: Run, status: str = "completed") -> str:
    ended = await here.ended(run.run_id)
    assert ended.status == status, ended.reason
    return text_of(await here.events(run.run_id))


def told(text: str) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """The variables, without HERMES_, and the log."""
    variables, _, log = text.partition("--\n")
    parted = (line.removeprefix("HERMES_").partition("=") for line in variables.splitlines())
    return {name: value for name, _, value in parted}, [json.loads(line) for line in log.splitlines()]


def test_a_run_knows_itself_and_what_was_said_before_it(home: Path) -> None:
    async def scene() -> None:
        (home / "a b").write_text("x")
        async with house(home, model="large-1") as here:
            first = await here.submit(TELL, toolsets=["web", "files"], attachments=["a b"])
            variables, log = told(await said(here, first))
            session = first.session_id
            path = home / "sessions" / f"{session}.jsonl"
            epoch = variables.pop("SESSION_EPOCH")
            assert 0 <= first.created_at - int(epoch) < 2
            assert variables.pop("PROCESS_ID").startswith("proc_")
            variables.pop("HOME", None)
            assert variables == {
                "RUN_ID": first.run_id,
                "SESSION_ID": session,
                "SESSION_LOG": str(path),
                "SESSION_TURN": "0",
                "PROFILE": "default",
                "WORKSPACE": str(home),
                "PROVIDER": "",
                "MODEL": "large-1",
                "TOOLSETS": "web,files",
                "ATTACHMENTS": json.dumps([str(home / "a b")]),
            }
            assert log == []

            failed = await here.submit("echo no; exit 3", session_id=session)
            await here.ended(failed.run_id)
            third = await here.submit(TELL, session_id=session, model="small-2")
            variables, log = told(await said(here, third))
            assert (variables["SESSION_TURN"], variables["SESSION_EPOCH"]) == ("2", epoch)
            assert variables["MODEL"] == "small-2"
            assert [(line["type"], line["run_id"]) for line in log] == [
                *(("message", first.run_id), ("answer", first.run_id)),
                *(("message", failed.run_id), ("answer", failed.run_id)),
            ]
            assert (log[3]["text"], log[3]["exit_code"]) == ("no\n", 3)

    asyncio.run(scene())


def test_the_process_of_a_run_goes_with_it(home: Path) -> None:
    """All that it said is in the journal."""

    async def scene() -> None:
        async with house(home) as here:
            run = await here.submit("echo kept")
            assert await said(here, run) == "kept\n"

            def gone() -> bool:
                here.registry.clean()
                return not list((home / "processes").glob("proc_*"))

            await wait_for(gone, "that nothing of the process is left", 20.0)

    asyncio.run(scene())


def test_a_queued_run_is_told_of_those_before_it_in_the_queue(home: Path) -> None:
    async def scene() -> None:
        async with house(home, on_conflict="queue") as here:
            first = await here.submit("sleep 0.3; echo one")
            second = await here.submit(TELL, session_id=first.session_id)
            variables, log = told(await said(here, second))
            assert variables["SESSION_TURN"] == "1"
            assert [line["text"] for line in log] == ["sleep 0.3; echo one", "one\n"]

    asyncio.run(scene())


def test_a_session_that_was_idle_begins_anew_and_its_agent_is_told(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with house(home) as here:
            first = await here.submit("true")
            await here.ended(first.run_id)
            began = (await here.journal.read(lambda store: store.session(first.session_id))).created_at
            monkeypatch.setattr(sessions, "IDLE_RESET", 0.0)
            second = await here.submit(TELL, session_id=first.session_id)
            variables, log = told(await said(here, second))
            assert [line["type"] for line in log] == ["message", "answer", "reset"]
            assert variables["SESSION_TURN"] == "0"
            assert int(variables["SESSION_EPOCH"]) == int(log[2]["at"])
            assert began <= log[2]["at"] <= second.created_at

            monkeypatch.undo()
            third = await here.submit(TELL, session_id=first.session_id)
            later, log = told(await said(here, third))
            assert (later["SESSION_TURN"], later["SESSION_EPOCH"]) == ("1", variables["SESSION_EPOCH"])
            assert [line["type"] for line in log] == ["message", "answer", "reset", "message", "answer"]

    asyncio.run(scene())


def test_a_session_with_work_going_on_is_not_idle(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with house(home) as here:
            first = await here.submit("true")
            await here.ended(first.run_id)
            monkeypatch.setattr(sessions, "IDLE_RESET", 0.0)
            request = StartRequest(command="sleep 100", owner=Owner(session_key=first.session_id))
            await asyncio.to_thread(here.registry.start, request)
            second = await here.submit(TELL, session_id=first.session_id)
            variables, log = told(await said(here, second))
            assert variables["SESSION_TURN"] == "1"
            assert [line["type"] for line in log] == ["message", "answer"]

    asyncio.run(scene())


def test_a_program_gets_each_value_as_one_argument(home: Path) -> None:
    line = "printf '%s\\n' {model} {session_id}.{session_turn} --ask={message} {attachments} '{{model}}'"

    async def scene() -> None:
        (home / "a b").write_text("x")
        async with house(home, agent=CommandAgent(split(line))) as here:
            run = await here.submit("two words; $(id)\nand {model}", model="m-1", attachments=["a b"])
            assert (await said(here, run)).splitlines() == [
                *("m-1", f"{run.session_id}.0", "--ask=two words; $(id)", "and {model}"),
                *(json.dumps([str(home / "a b")]), "{model}"),
            ]

    asyncio.run(scene())


def test_what_an_agent_has_no_use_for_is_refused_and_leaves_nothing(home: Path) -> None:
    async def scene() -> None:
        async with house(home, agent=CommandAgent(("echo",))) as here:
            with pytest.raises(UnsupportedError, match="takes no model"):
                await here.submit("x", model="m")
            with pytest.raises(UnsupportedError, match="takes no attachments"):
                await here.submit("x", attachments=["a"])
            assert await here.journal.read(lambda store: store.runs(limit=9)) == []
            assert await here.journal.read(lambda store: store.sessions()) == []

    asyncio.run(scene())


def test_an_attachment_that_goes_before_its_run_begins_fails_the_run(home: Path) -> None:
    async def scene() -> None:
        (home / "a").write_text("x")
        async with house(home, concurrency=1) as here:
            with pytest.raises(BadRequestError, match="no file in the workspace"):
                await here.submit("true", attachments=["b"])
            first = await here.submit("while [ -e a ]; do sleep 0.05; done")
            second = await here.submit("echo ran >>counter", attachments=["a"])
            (home / "a").unlink()
            await here.ended(first.run_id)
            ended = await here.ended(second.run_id)
            assert (ended.status, ended.started_at is not None) == ("failed", True)
            assert "'a' is no file in the workspace" in ended.reason
            assert not (home / "counter").exists()

    asyncio.run(scene())


def test_a_log_that_cannot_be_written_fails_the_run_before_it_begins(home: Path) -> None:
    async def scene() -> None:
        (home / "sessions").write_text("in the way")
        async with house(home) as here:
            run = await here.submit("echo ran >>counter")
            ended = await here.ended(run.run_id)
            assert ended.status == "failed"
            assert "the log of its conversation could not be written" in ended.reason
            assert not (home / "counter").exists()

    asyncio.run(scene())
