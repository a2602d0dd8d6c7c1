"""Ids of processes, and the beginnings that find them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_cli.processes.errors import AmbiguousIdError, NoSuchProcessError
from hermes_cli.processes.ids import is_id, new_id, resolve

KNOWN = ["proc_0123456789ab", "proc_0123ffffffff", "proc_beef00000000"]


def test_new_ids_are_ids_and_differ() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(map(is_id, ids))


@pytest.mark.parametrize(
    "name", ["", "proc_", "proc_0123456789AB", "proc_0123456789abc", "..", "proc_../../etc/x"]
)
def test_nothing_else_is_an_id(name: str) -> None:
    assert not is_id(name)


@pytest.mark.parametrize("given", ["beef", "proc_beef", " PROC_BEEF00 ", "proc_beef00000000"])
def test_a_beginning_finds_the_one_it_begins(given: str) -> None:
    assert resolve(given, KNOWN) == "proc_beef00000000"


def test_a_beginning_of_several_names_them() -> None:
    with pytest.raises(AmbiguousIdError, match=r"proc_0123456789ab.*proc_0123ffffffff"):
        resolve("0123", KNOWN)


@pytest.mark.parametrize(
    "given", ["", "bee", "proc_bee", "dead", "proc_beef000000000", "../beef", "be*f", "beef\n0"]
)
def test_what_begins_none_is_not_found(given: str) -> None:
    with pytest.raises(NoSuchProcessError):
        resolve(given, KNOWN)


@given(st.text())
def test_any_text_is_answered_with_a_type(given: str) -> None:
    try:
        found = resolve(given, KNOWN)
    except (NoSuchProcessError, AmbiguousIdError):
        return
    assert found in KNOWN
