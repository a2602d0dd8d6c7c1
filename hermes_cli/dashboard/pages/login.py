"""The page to sign in on."""

from __future__ import annotations

from hermes_cli.dashboard.markup import Html, el

from .shell import Place, csrf_field, document


def login_page(place: Place, csrf: str, target: str, error: str | None = None) -> Html:
    """The form, with `error` above it. `target` is the address the reader wanted."""
    return document(
        place,
        "Sign in",
        el(
            "section",
            el("h1", "Sign in"),
            el("p", el("span", "✕ ", aria_hidden="true"), error, role="alert", class_="error", id="error")
            if error
            else None,
            el(
                "form",
                csrf_field(csrf),
                el("input", type="hidden", name="next", value=target) if target != "/" else None,
                # Browsers keep a password with a name; there is one reader, so the name is fixed.
                el(
                    "input",
                    type="text",
                    name="username",
                    value="hermes",
                    autocomplete="username",
                    readonly=True,
                    hidden=True,
                ),
                el("label", "Password or token", for_="password"),
                el(
                    "input",
                    type="password",
                    id="password",
                    name="password",
                    required=True,
                    maxlength=1024,
                    autocomplete="current-password",
                    autofocus=True,
                    aria_describedby="error" if error else None,
                ),
                el("button", "Sign in", type="submit"),
                method="post",
                action=place.url("/login"),
            ),
            el(
                "p",
                "It is the value of ",
                el("code", "HERMES_DASHBOARD_PASSWORD"),
                " or ",
                el("code", "HERMES_DASHBOARD_TOKEN"),
                ", in the container's environment or in the .env of the profile default. Readers have one of "
                "their own.",
                class_="hint",
            ),
            class_="card narrow",
        ),
    )
