"""From output to events: text, lines of JSON, and how the end of a process is the end of a run."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_cli.agents.command import LineTranslator
from hermes_cli.agents.text import TextTranslator
from hermes_cli.agents.types import Ended
from hermes_cli.runs.types import NewEvent

EXITED = Ended("exited", 0, None, "")


def told(events: list[NewEvent]) -> list[tuple[str, dict[str, Any]]]:
    """Type and payload; neighbouring deltas joined, because how text is cut up is nobody's promise."""
    joined: list[tuple[str, dict[str, Any]]] = []
    for event in events:
        if event.type == "delta" and joined and joined[-1][0] == "delta":
            joined[-1] = ("delta", {"text": joined[-1][1]["text"] + event.payload["text"]})
        else:
            joined.append((event.type, event.payload))
    return joined


def test_lines_of_json_with_a_type_are_events_as_they_are() -> None:
    events = LineTranslator({}).feed('thinking\n{"type": "tool_call", "name": "ls"}\ndone\n')
    assert told(events) == [
        ("delta", {"text": "thinking\n"}),
        ("tool_call", {"name": "ls"}),
        ("delta", {"text": "done\n"}),
    ]


@pytest.mark.parametrize(
    "line", ['{"type": "completed"}', '{"type": 5}', '{"no": "type"}', "{broken", '["type"]', '{"type": ""}']
)
def test_what_is_no_event_of_an_agents_own_is_text(line: str) -> None:
    assert told(LineTranslator({}).feed(line + "\n")) == [("delta", {"text": line + "\n"})]


def test_a_prompt_without_a_line_end_is_told_at_once() -> None:
    assert told(LineTranslator({}).feed("password: ")) == [("delta", {"text": "password: "})]


def test_an_object_in_the_middle_of_a_line_is_text() -> None:
    translator = LineTranslator({})
    events = translator.feed("see ") + translator.feed('{"type": "tool_call"}\n')
    assert told(events) == [("delta", {"text": 'see {"type": "tool_call"}\n'})]


@given(st.lists(st.sampled_from(['{"type": "a", "n": 1}', "text", "", '{"x', "é{"])), st.data())
def test_however_output_is_cut_and_whoever_reads_on_the_events_are_the_same(
    lines: list[str], data: st.DataObject
) -> None:
    text = "\n".join(lines)
    whole = LineTranslator({})
    expected = told(whole.feed(text) + whole.finish(EXITED))
    events: list[NewEvent] = []
    state: dict[str, Any] = {}
    at = 0
    while at < len(text):
        size = data.draw(st.integers(1, 7))
        translator = LineTranslator(state)  # another gateway each time
        events += translator.feed(text[at : at + size])
        state, at = translator.state, at + size
    assert told(events + LineTranslator(state).finish(EXITED)) == expected


@pytest.mark.parametrize(
    ("ended", "state"),
    [
        (Ended("exited", 0, None, ""), "completed"),
        (Ended("exited", 3, None, ""), "failed"),
        (Ended("exited", 137, 9, "out of memory"), "failed"),
        (Ended("killed", 143, 15, "asked to"), "interrupted"),
        (Ended("lost", None, None, "the container restarted"), "interrupted"),
    ],
)
def test_how_a_process_ended_is_how_its_run_ended(ended: Ended, state: str) -> None:
    (event,) = TextTranslator({}).finish(ended)
    assert (event.type, event.terminal) == (state, state)
    assert event.payload.get("exit_code") == ended.exit_code
    assert event.payload.get("reason") == (ended.reason or None)


@pytest.mark.parametrize(
    "line",
    [
        '{"type": "tool", "text": "\\ud800"}',
        '{"type": "tool", "n": NaN}',
        '{"type": "tool", "n": 1e999}',
        '{"type": "tool", "n": ' + "[" * 900 + "]" * 900 + "}",
        '{"type": "tool", "n": ' + "[" * 5000 + "]" * 5000 + "}",
        '{"type": "delta", "text": 5}',
        '{"type": "approval_requested"}',
        '{"type": "tool\\n\\ndata: {}"}',
        '{"type": " "}',
    ],
)
def test_what_could_not_be_written_or_would_mislead_is_text(line: str) -> None:
    (event,) = LineTranslator({}).feed(line + "\n")
    assert (event.type, event.payload["text"]) == ("delta", line + "\n")
    msgspec.json.encode(event)


def test_a_wide_object_is_an_event_whatever_its_brackets() -> None:
    line = '{"type": "table", "rows": [' + ", ".join('{"a": [1]}' for _ in range(500)) + "]}"
    (event,) = LineTranslator({}).feed(line + "\n")
    assert (event.type, len(event.payload["rows"])) == ("table", 500)


def test_a_line_that_lost_its_middle_is_no_event() -> None:
    translator = LineTranslator({})
    events = translator.feed('{"type": "tool", "a": "')
    events += translator.gap()
    events += translator.feed('b"}\n{"type": "tool"}\n')
    assert told(events) == [("delta", {"text": '{"type": "tool", "a": "b"}\n'}), ("tool", {})]
