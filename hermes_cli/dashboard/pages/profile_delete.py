"""The page that asks before a profile is deleted, and says what goes with it."""

from __future__ import annotations

from collections.abc import Iterator

from hermes_cli.dashboard.markup import Html, el
from hermes_cli.faces.overview import Row
from hermes_cli.home import Home

from .shell import Place, csrf_field, document


def delete_page(place: Place, home: Home, row: Row, error: str | None = None) -> Html:
    """The form in which the name has to be typed, with why it was not done, if it was not."""
    return document(
        place,
        f"Delete {home.profile}",
        el(
            "section",
            el("h1", f"Delete {home.profile}"),
            el("p", "This cannot be undone. What goes:"),
            el("ul", [el("li", one) for one in _what_goes(home, row)]),
            el("p", el("span", "✕ ", aria_hidden="true"), error, role="alert", class_="error", id="error")
            if error
            else None,
            el(
                "form",
                csrf_field(place.csrf),
                el("label", "Type its name to confirm", for_="confirm"),
                el(
                    "input",
                    type="text",
                    id="confirm",
                    name="confirm",
                    required=True,
                    autocomplete="off",
                    autocapitalize="none",
                    spellcheck="false",
                    aria_describedby="error" if error else None,
                ),
                el("button", "Delete for good", type="submit", class_="danger"),
                method="post",
                action=place.profile_url(home.profile, "delete"),
            ),
            el("p", el("a", "Back to the overview", href=place.url())),
            class_="card narrow",
        ),
    )


def _what_goes(home: Home, row: Row) -> Iterator[str]:
    """What `hermes profile delete` removes, with how much of it there is now."""
    yield f"the gateway, which is {row.actual} now" + (
        f", and the {_count(row.runs, 'run')} it has in hand" if _some(row.runs) else ""
    )
    if _some(row.processes):
        yield f"{_count(row.processes, 'background process', 'es')} that run, with all they started"
    yield f"its home {home.path}: settings, secrets, sessions, runs and workspace"
    yield f"its log {home.gateway_log}"
    yield f"its command {home.profile!r}, where it has one"


def _some(count: str) -> bool:
    return count not in ("", "0")


def _count(count: str, thing: str, plural: str = "s") -> str:
    return f"{count} {thing}{'' if count == '1' else plural}"
