"""A session's log as turns: harmless, bounded, and nothing that a torn line could break."""

from __future__ import annotations

import json

from hermes_cli.faces.conversation import Turn, turns_of


def line(**fields: object) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def test_messages_answers_and_resets_are_turns_in_their_order() -> None:
    log = [
        line(type="message", at=1.0, run_id="run_1", text="hi"),
        line(
            type="answer",
            at=2.0,
            run_id="run_1",
            status="failed",
            exit_code=3,
            reason="no",
            text="a\nb",
            cut=True,
        ),
        line(type="reset", at=3.0),
    ]
    turns, left_out = turns_of(log)
    assert turns == [
        Turn(kind="message", at=1.0, run_id="run_1", text="hi"),
        Turn(
            kind="answer",
            at=2.0,
            run_id="run_1",
            text="a\nb",
            status="failed",
            note="exit code 3; no; its beginning is left out here",
        ),
        Turn(kind="reset", at=3.0),
    ]
    assert left_out == 0


def test_what_others_wrote_can_do_nothing() -> None:
    [turn], _ = turns_of([line(type="answer", run_id="r", text="\x1b[31mred\rover\x1b]0;t\x07\n\u202eevil")])
    assert turn.text == "red\nover\n\ufffdevil"


def test_lines_that_are_none_are_left_out() -> None:
    torn = line(type="message", text="whole")[:-5]
    log = [b"", b"\xff\n", b"[]\n", line(type="later"), torn, line(type="message", text="there", future=1)]
    assert [turn.text for turn in turns_of(log)[0]] == ["there"]


def test_only_the_latest_are_kept_and_the_rest_is_counted() -> None:
    turns, left_out = turns_of((line(type="message", text=str(number)) for number in range(1000)), 3)
    assert [turn.text for turn in turns] == ["997", "998", "999"]
    assert left_out == 997
