"""The page to make a profile on."""

from __future__ import annotations

from hermes_cli.dashboard.markup import Html, el
from hermes_cli.service_manager.names import MAX_NAME_LENGTH

from .shell import Place, csrf_field, document


def create_page(place: Place, name: str = "", error: str | None = None) -> Html:
    """The form, with what was asked for and why it was not done, if it was not."""
    return document(
        place,
        "New profile",
        el(
            "section",
            el("h1", "New profile"),
            el("p", "A home of its own, with a port, a token and a gateway that is down at first."),
            el("p", el("span", "✕ ", aria_hidden="true"), error, role="alert", class_="error", id="error")
            if error
            else None,
            el(
                "form",
                csrf_field(place.csrf),
                el("label", "Name", for_="name"),
                el(
                    "input",
                    type="text",
                    id="name",
                    name="name",
                    value=name,
                    required=True,
                    maxlength=MAX_NAME_LENGTH,
                    pattern="[a-z0-9][a-z0-9_\\-]*",
                    title="lower-case letters, digits, - and _, beginning with a letter or a digit",
                    autocomplete="off",
                    autocapitalize="none",
                    spellcheck="false",
                    autofocus=True,
                    aria_describedby="error rule" if error else "rule",
                ),
                el("p", "Lower-case letters, digits, - and _.", class_="hint", id="rule"),
                el(
                    "label",
                    el("input", type="checkbox", name="start", value="yes"),
                    " Start its gateway at once",
                ),
                el("button", "Create", type="submit", class_="primary"),
                method="post",
                action=place.url("/create-profile"),
            ),
            el("p", el("a", "Back to the overview", href=place.url())),
            class_="card narrow",
        ),
    )
