"""The words of an agent's command, and what may stand in braces in them."""

from __future__ import annotations

import re

import pytest

from hermes_cli.config.command_line import fill, placeholders, split


def test_words_are_split_as_a_shell_would_and_no_further() -> None:
    assert split("agent --name 'two words' \"$HOME\" '*'") == ("agent", "--name", "two words", "$HOME", "*")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("agent {mdoel}", "{mdoel} is not known; there are attachments, message, model,"),
        ("awk '{print}'", "{{print}} is the text {print}"),
        ("sh -c 'agent {message}'", "give it a word of its own"),
        ("sh -c 'agent \"{message}\"'", "give it a word of its own"),
        ("agent {message}.txt", "give it a word of its own"),
        ("agent {model}{message}", "give it a word of its own"),
        ("agent 'x --in={workspace}'", "give it a word of its own"),
        ("agent '", "No closing quotation"),
    ],
)
def test_what_cannot_be_meant_is_said(line: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        split(line)


def test_the_message_goes_one_way() -> None:
    split("agent {model}", stdin=True)
    with pytest.raises(ValueError, match="one of the two"):
        split("agent {message}", stdin=True)


@pytest.mark.parametrize(
    "word",
    ['{"a": {"b": 1}}', "${HOME}", "{}", "{a,b}", "{1..3}", "{ model }", "{Model}", "{{}}", "}{", "{model"],
)
def test_other_braces_are_text(word: str) -> None:
    assert placeholders((word,)) == frozenset()
    assert fill((word,), {}) == (word,)


def test_doubled_braces_are_the_text_of_single_ones() -> None:
    words = split("agent '{{model}}' '{{print}} {model}'")
    assert placeholders(words) == {"model"}
    assert fill(words, {"model": "m {model}"}) == ("agent", "{model}", "{print} m {model}")
