"""A YAML mapping as entries with places: what both parsers yield and the checks read."""

from __future__ import annotations

from typing import NamedTuple


class Foreign(NamedTuple):
    """A value that no setting can have, in words: "a list"."""

    what: str


class Entry(NamedTuple):
    """A key and its value. Lines and columns count from 1. A mapping's value is the list of its entries."""

    key: str
    line: int
    column: int
    value: object
    value_line: int
    value_column: int

    def entries(self) -> list[Entry] | None:
        """The entries of a mapping; None for anything else. Nothing at all is an empty mapping."""
        if self.value is None:
            return []
        return self.value if isinstance(self.value, list) else None
