"""HTML that cannot be broken out of: whatever is not `Html` already is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TypeAlias


class Html(str):
    """Markup made here. Any other string is text."""

    __slots__ = ()


Content: TypeAlias = str | Iterable["Content"] | None
Attribute: TypeAlias = str | int | bool | None

VOID = frozenset({"meta", "link", "input", "br", "hr", "img"})


def el(tag: str, *content: Content, **attributes: Attribute) -> Html:
    """`<tag …>content</tag>`. `_` in an attribute's name is `-`, a last one is dropped (`class_`, `for_`).

    True gives an attribute without a value; False and None leave it out.
    """
    start = f"<{tag}{''.join(_attribute(name, value) for name, value in attributes.items())}>"
    return Html(start if tag in VOID else f"{start}{join(content)}</{tag}>")


def join(content: Content) -> Html:
    """`content` as markup, without anything between its parts."""
    if content is None:
        return Html("")
    if isinstance(content, Html):
        return content
    if isinstance(content, str):
        return Html(escape(content))
    return Html("".join(join(part) for part in content))


def _attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = name.removesuffix("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
