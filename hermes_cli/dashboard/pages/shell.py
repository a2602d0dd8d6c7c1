"""What every page has around its content, and what it is told of the request."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from hermes_cli import __version__
from hermes_cli.dashboard.markup import Content, Html, el


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page is shown, and to whom."""

    root_path: str
    assets: str
    """Changes with the static files, so that a new version is never mixed with an old one from a cache."""
    csrf: str = ""
    """Empty where nobody has signed in."""

    def url(self, path: str = "/", **query: str | None) -> str:
        """An absolute path below the proxy's; empty parameters are left out."""
        given = urlencode({name: value for name, value in query.items() if value})
        return f"{self.root_path}{path}{'?' if given else ''}{given}"

    def asset(self, name: str) -> str:
        return self.url(f"/static/{name}", v=self.assets)


def document(place: Place, title: str, *content: Content, script: bool = False) -> Html:
    """A whole page. The header's `live` line is filled by the script, where there is one."""
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", f"{title} · Hermes"),
        el("link", rel="icon", href=place.asset("icon.svg"), type="image/svg+xml"),
        el("link", rel="stylesheet", href=place.asset("app.css")),
        el("script", src=place.asset("app.js"), defer=True) if script else None,
    )
    header = el(
        "header",
        el("a", "Hermes", href=place.url(), class_="brand"),
        el("span", __version__, class_="version"),
        el("span", id="live", role="status", class_="live", hidden=True),
        sign_out(place) if place.csrf else None,
        class_="bar",
    )
    body = el(
        "body",
        el("a", "Skip to the content", href="#content", class_="skip"),
        header,
        el("main", *content, id="content"),
    )
    return Html("<!doctype html>\n" + el("html", head, body, lang="en") + "\n")


def sign_out(place: Place) -> Html:
    return el(
        "form",
        csrf_field(place.csrf),
        el("button", "Sign out", type="submit", class_="quiet"),
        method="post",
        action=place.url("/logout"),
        class_="sign-out",
    )


def csrf_field(token: str) -> Html:
    return el("input", type="hidden", name="csrf", value=token)


def message_page(place: Place, title: str, sentence: str) -> Html:
    """One sentence and the way back: for an address or a request that cannot be served."""
    return document(
        place,
        title,
        el(
            "section",
            el("h1", title),
            el("p", sentence),
            el("p", el("a", "Go to the overview", href=place.url())),
            class_="card narrow",
        ),
    )
