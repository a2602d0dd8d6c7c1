"""What models really send is understood where it is beyond doubt, and refused with a sentence where not."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_cli.tools import arguments
from hermes_cli.tools.arguments import Field, parse
from hermes_cli.tools.errors import ArgumentError

FIELDS = {
    "command": Field(arguments.command, ("cmd",)),
    "on": Field(arguments.flag),
    "seconds": Field(arguments.seconds),
    "lines": Field(arguments.count),
    "texts": Field(arguments.texts),
    "session_id": Field(arguments.identifier, ("id",)),
}


def read(raw: object) -> dict[str, Any]:
    return parse(raw, FIELDS)[0]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"command": "ls"}, {"command": "ls"}),
        ('{"command": "ls"}', {"command": "ls"}),
        ('"{\\"command\\": \\"ls\\"}"', {"command": "ls"}),
        ([{"command": "ls"}], {"command": "ls"}),
        ({"arguments": {"command": "ls"}}, {"command": "ls"}),
        ({"arguments": '{"command": "ls"}'}, {"command": "ls"}),
        ({"cmd": "ls"}, {"command": "ls"}),
        ({"cmd": "no", "command": "ls"}, {"command": "ls"}),
        ({"Command": "ls", "on": None}, {"command": "ls"}),
        ({"command": ["ls", "-l", "a b"]}, {"command": "ls -l 'a b'"}),
        ({"command": ["ls -l"]}, {"command": "ls -l"}),
        ({"sessionId": 123456789012}, {"session_id": "123456789012"}),
        ({"id": 1234.0}, {"session_id": "1234"}),
        ({"session_id": ' "proc_ab12" '}, {"session_id": "proc_ab12"}),
        ({"on": "true"}, {"on": True}),
        ({"on": "False"}, {"on": False}),
        ({"on": 1}, {"on": True}),
        ({"on": ""}, {"on": False}),
        ({"seconds": "30"}, {"seconds": 30.0}),
        ({"seconds": "30s"}, {"seconds": 30.0}),
        ({"seconds": "2 min"}, {"seconds": 120.0}),
        ({"seconds": "500ms"}, {"seconds": 0.5}),
        ({"seconds": float("inf")}, {"seconds": 1e9}),
        ({"lines": "50"}, {"lines": 50}),
        ({"lines": 50.0}, {"lines": 50}),
        ({"texts": "ready"}, {"texts": ("ready",)}),
        ({"texts": '["a", "b"]'}, {"texts": ("a", "b")}),
        ({"texts": "[error] x"}, {"texts": ("[error] x",)}),
        ({"texts": ["a", 8080, None, ""]}, {"texts": ("a", "8080")}),
        ({"texts": "null"}, {"texts": ()}),
        (None, {}),
        ("", {}),
        ("{}", {}),
    ],
)  # fmt: skip
def test_what_is_meant_is_taken(raw: object, expected: dict[str, Any]) -> None:
    assert read(raw) == expected


@pytest.mark.parametrize(
    ("raw", "part"),
    [
        ("{not json", "no JSON object"),
        ("[1, 2]", "must be a JSON object, not a list"),
        (7, "must be a JSON object, not a number"),
        ("[" * 100_000, "no JSON object"),
        ({"command": ""}, "command is empty"),
        ({"command": "a\x00b"}, "NUL"),
        ({"command": {"x": 1}}, "must be a text, not an object"),
        ({"command": "\ud83d"}, "half of a character"),
        ({"command": "x" * (2 << 20)}, "Use a file"),
        ({"on": "maybe"}, "must be true or false, not the text 'maybe'"),
        ({"on": [True]}, "must be true or false, not a list"),
        ({"seconds": "soon"}, "must be a number of seconds, not the text 'soon'"),
        ({"seconds": -1}, "0 or more"),
        ({"seconds": float("nan")}, "number of seconds"),
        ({"seconds": True}, "not the truth value true"),
        ({"lines": 1.5}, "must be a whole number"),
        ({"lines": "many"}, "must be a whole number"),
        ({"texts": {"a": 1}}, "must be a list of texts, not an object"),
        ({"texts": ["a"] * 101}, "100 is the most"),
        ({"session_id": 10**5000}, "enormous"),
    ],
)
def test_what_means_nothing_is_refused_with_a_sentence(raw: object, part: str) -> None:
    with pytest.raises(ArgumentError, match=part):
        read(raw)


def test_an_argument_that_does_not_exist_is_named_and_ignored() -> None:
    values, warnings = parse({"command": "ls", "colour": "red"}, FIELDS)
    assert values == {"command": "ls"}
    assert len(warnings) == 1
    assert "'colour'" in warnings[0]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*FIELDS, "x"]), _JSON), st.booleans())
def test_anything_else_is_a_value_or_a_sentence(raw: dict[str, Any], as_text: bool) -> None:
    with contextlib.suppress(ArgumentError):
        assert set(read(json.dumps(raw) if as_text else raw)) <= set(FIELDS)
