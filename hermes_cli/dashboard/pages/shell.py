"""What every page has around its content, and what it is told of the request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from hermes_cli import __version__
from hermes_cli.dashboard.markup import Content, Html, el
from hermes_cli.dashboard.visitor import Role
from hermes_cli.service_manager.names import validate_profile_name

PROFILE_PAGES = (
    ("logs", "Logs"),
    ("processes", "Processes"),
    ("runs", "Runs"),
    ("sessions", "Sessions"),
    ("config", "Config"),
    ("doctor", "Doctor"),
)
"""The pages of a profile, `/profiles/NAME/…`, in the order of the navigation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a page is shown, and to whom."""

    root_path: str
    assets: str
    """Changes with the static files, so that a new version is never mixed with an old one from a cache."""
    path: str = "/"
    """The address asked for, below the proxy's path."""
    role: Role | None = None
    """None for one who has not signed in."""
    csrf: str = ""
    """What a form of this visitor must bring as `csrf`."""
    signed_in: bool = False
    """Whether there is a session to sign out of."""

    @property
    def operator(self) -> bool:
        """Whether to show what changes things. The route checks it again."""
        return self.role == "operator"

    def url(self, path: str = "/", **query: str | None) -> str:
        """An absolute path below the proxy's; empty parameters are left out."""
        given = urlencode({name: value for name, value in query.items() if value})
        return f"{self.root_path}{path}{'?' if given else ''}{given}"

    def profile_url(self, profile: str, page: str = "", **query: str | None) -> str:
        """`/profiles/NAME[/page]`."""
        return self.url(f"/profiles/{profile}{'/' if page else ''}{page}", **query)

    def asset(self, name: str) -> str:
        return self.url(f"/static/{self.assets}/{name}")


def document(place: Place, title: str, *content: Content, scripts: Sequence[str] = ()) -> Html:
    """A whole page. `scripts` are modules of `static/`; what they say of the connection goes to `#live`."""
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", f"{title} · Hermes"),
        el("link", rel="icon", href=place.asset("icon.svg"), type="image/svg+xml"),
        el("link", rel="stylesheet", href=place.asset("app.css")),
        el("script", src=place.asset("theme.js")),
        [el("script", src=place.asset(name), type="module") for name in scripts],
    )
    header = el(
        "header",
        el("a", "Hermes", href=place.url(), class_="brand"),
        el("span", __version__, class_="version"),
        _navigation(place) if place.role is not None else None,
        el("span", id="live", role="status", class_="live", hidden=True),
        _theme(),
        sign_out(place) if place.signed_in else None,
        class_="bar",
    )
    body = el(
        "body",
        el("a", "Skip to the content", href="#content", class_="skip"),
        header,
        el("main", *content, id="content"),
    )
    return Html("<!doctype html>\n" + el("html", head, body, lang="en", data_root=place.root_path) + "\n")


def _theme() -> Html:
    """Light, dark, or as the system has it; `theme.js` shows it and keeps what was chosen."""
    content: Content = [el("span", "Colours: ", class_="unseen"), el("span", "Auto", class_="word")]
    return el("button", content, type="button", id="theme", class_="quiet", hidden=True)


def _navigation(place: Place) -> Html:
    """The way to the overview and, on a profile's pages, between them."""
    links: list[Content] = [_link(place, "/", "Overview")]
    profile = profile_of(place.path)
    if profile is not None:
        links.append(el("li", profile, class_="nav-profile"))
        links += [_link(place, f"/profiles/{profile}/{page}", title) for page, title in PROFILE_PAGES]
    return el("nav", el("ul", links), aria_label="Pages", class_="nav")


def _link(place: Place, path: str, title: str) -> Html:
    """`page` where it leads here, `true` where the page is one below it (WAI-ARIA 1.2, aria-current)."""
    current = "page" if place.path == path else None
    if current is None and path != "/" and place.path.startswith(f"{path}/"):
        current = "true"
    return el("li", el("a", title, href=place.url(path), aria_current=current))


def profile_of(path: str) -> str | None:
    """The profile whose page is at `path`; None where it is no such page."""
    parts = path.split("/")
    if len(parts) < 3 or parts[1] != "profiles":
        return None
    try:
        return validate_profile_name(parts[2])
    except ValueError:
        return None


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
