"""Nothing that is put into a page can become markup by itself."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from hermes_cli.dashboard.markup import el


class _Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.text = ""
        self.attributes: dict[str, str | None] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(alphabet=st.characters(exclude_characters="\r\0", exclude_categories=["Cs"])))
def test_text_and_attributes_come_out_as_they_went_in(text: str) -> None:
    seen = _Seen()
    seen.feed(el("p", text, el("b", text), title=text))
    seen.close()
    assert seen.tags == ["p", "b"]
    assert seen.text == text * 2
    assert seen.attributes == {"title": text}


def test_attributes_may_be_bare_left_out_or_spelt_with_dashes() -> None:
    assert el("input", class_="a", data_f="x", required=True, hidden=False, value=None) == (
        '<input class="a" data-f="x" required>'
    )
