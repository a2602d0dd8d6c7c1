""".env: what is written is what is meant, and no value is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_cli.config import ConfigError, load_env
from hermes_cli.config.dotenv import parse

_PATH = Path(".env")


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("", {}),
        ("\n \t\n# comment\n  # another", {}),
        ("A=1", {"A": "1"}),
        ("A=1\nB=2\n", {"A": "1", "B": "2"}),
        ("export A=1", {"A": "1"}),
        ("export=1", {"export": "1"}),
        ("  A = 1  ", {"A": "1"}),
        ("A=", {"A": ""}),
        ("A=\nB=2", {"A": "", "B": "2"}),
        ("A=1 # comment", {"A": "1"}),
        ("A=a#b", {"A": "a#b"}),
        ("A=#comment", {"A": ""}),
        ("A=a b  c", {"A": "a b  c"}),
        ("A=x=y", {"A": "x=y"}),
        ("A='it is # $A \\n'", {"A": "it is # $A \\n"}),
        ('A="two\\nlines"', {"A": "two\nlines"}),
        ('A="two\nlines"\nB=1', {"A": "two\nlines", "B": "1"}),
        ('A="say \\"hi\\"" # comment', {"A": 'say "hi"'}),
        ('A="back\\\\slash \\d"', {"A": "back\\slash \\d"}),
        ("A=$HOME", {"A": "$HOME"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("A=1\nA=2", {"A": "2"}),
        ("A=it's", {"A": "it's"}),
    ],
)
def test_what_is_written_is_what_is_meant(text: str, variables: dict[str, str]) -> None:
    assert parse(text, _PATH) == variables


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("A=1\nsecret value", 2, "expected KEY=VALUE"),
        ("=secret", 1, "expected KEY=VALUE"),
        ("1A=secret", 1, "expected KEY=VALUE"),
        ("A-B=secret", 1, "expected KEY=VALUE"),
        ("\nA='secret", 2, "A: the ' that opens the value is never closed"),
        ('A="secret', 1, 'A: the " that opens the value is never closed'),
        ("A='x'secret", 1, "A: there is text after the closing quote"),
        ("A=sec\0ret", 1, "A: the value holds a NUL character"),
    ],
)
def test_anything_else_is_refused_with_its_line_and_without_the_value(
    text: str, line: int, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, _PATH)
    assert str(caught.value).startswith(f".env:{line}: ")
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_missing_file_has_no_variables(tmp_path: Path) -> None:
    assert load_env(tmp_path / ".env") == {}


def test_a_file_that_cannot_be_read_as_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=1\nB=\xff\n")
    with pytest.raises(ConfigError, match=r"\.env:2:3: is not UTF-8"):
        load_env(tmp_path / ".env")


@given(st.text(max_size=200))
def test_any_text_is_variables_or_a_config_error(text: str) -> None:
    try:
        variables = parse(text, _PATH)
    except ConfigError:
        return
    assert all("\0" not in value for value in variables.values())


@given(st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True), st.text(max_size=40)))
def test_anything_quoted_comes_back(variables: dict[str, str]) -> None:
    variables = {key: value.replace("\0", "").replace("\r", "") for key, value in variables.items()}
    text = "".join(
        '{}="{}"\n'.format(key, value.replace("\\", "\\\\").replace('"', '\\"'))
        for key, value in variables.items()
    )
    assert parse(text, _PATH) == variables
