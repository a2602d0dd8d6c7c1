"""A profile's background processes: all of them, and one with what it says."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hermes_cli.dashboard.markup import Content, Html, el
from hermes_cli.faces.overview import Tone
from hermes_cli.faces.printable import plain
from hermes_cli.faces.reach import Reach
from hermes_cli.gateway.process_api import ENVIRONMENTS
from hermes_cli.processes.types import Listing

from . import parts
from .shell import Place

STATUSES = (
    ("", "All"),
    ("running", "Running"),
    ("exited", "Ended by themselves"),
    ("killed", "Killed"),
    ("lost", "Lost"),
)
_ENVIRONMENTS = (("", "Where the profile has them"), *((name, name) for name in ENVIRONMENTS))

_TITLE = 160


class Filter(msgspec.Struct, kw_only=True, frozen=True):
    """What of the processes is asked for, as it stands in the address."""

    status: str = ""
    words: str = ""
    """In the command, the directory or the id."""
    environment: str | None = None

    def takes(self, row: Listing) -> bool:
        said = f"{row.session_id} {row.command} {row.cwd}".casefold()
        return self.status in ("", row.status) and self.words.casefold() in said


class Output(msgspec.Struct, kw_only=True):
    """The end of a process's output."""

    text: str
    """Safe to show."""
    cursor: int
    skipped: int = 0
    """Bytes before it that are not shown, or were dropped."""


def processes_page(
    place: Place, profile: str, rows: Sequence[Listing] | None, chosen: Filter, reach: Reach, events: str
) -> Html:
    here = place.profile_url(profile, "processes")
    words = el("input", id="q", name="q", type="search", value=chosen.words, maxlength=200)
    return parts.profile_page(
        place,
        profile,
        "Processes",
        _start(place, here, chosen) if place.operator else None,
        parts.filters(
            here,
            parts.field("Command, directory or id", words, "q"),
            parts.select("status", "State", STATUSES, chosen.status),
            parts.select("environment", "Environment", _ENVIRONMENTS, chosen.environment or ""),
        ),
        parts.part("processes", _table(place, profile, rows, chosen) if rows is not None else None),
        reach=reach,
        events=events,
        script="list.js",
    )


def process_page(
    place: Place,
    profile: str,
    process_id: str,
    row: Listing | None,
    output: Output | None,
    environment: str | None,
    reach: Reach,
    events: str,
) -> Html:
    here = place.profile_url(profile, f"processes/{process_id}")
    return parts.profile_page(
        place,
        profile,
        process_id,
        parts.part("process", _head(row) if row else None),
        parts.part("controls", _controls(place, here, row, environment) if row and place.operator else None),
        _output(here, output, environment),
        parts.part("input", _input(place, here, environment))
        if row and place.operator and row.status == "running"
        else parts.part("input"),
        crumbs=(("Processes", place.profile_url(profile, "processes")), (process_id, None)),
        reach=reach,
        events=events,
        script="process.js",
    )


def state_of(row: Listing) -> tuple[Tone, str, str]:
    """Tone, words and the reason of how a process stands, or ended."""
    reason = plain(row.reason or "", 600)
    if row.status == "running":
        left = f"{row.descendants} descendants" if row.descendants else ""
        return "busy", "running", left
    if row.status == "exited":
        tone: Tone = "good" if row.exit_code == 0 else "bad"
        return tone, f"ended with exit code {row.exit_code}", reason
    if row.status == "killed":
        return "idle", f"killed by signal {row.signal}" if row.signal else "killed", reason
    return "bad", "lost", reason or "nobody knows how it ended"


def _start(place: Place, action: str, chosen: Filter) -> Html:
    command = el(
        "input",
        id="command",
        name="command",
        required=True,
        maxlength=8000,
        autocomplete="off",
        spellcheck="false",
    )
    directory = el("input", id="cwd", name="cwd", maxlength=4000, placeholder="the profile's home")
    return parts.form(
        place,
        action,
        parts.hidden("environment", chosen.environment),
        parts.field("Start a command", command, "command"),
        el(
            "details",
            el("summary", "More"),
            parts.field("In the directory", directory, "cwd"),
            el("label", el("input", type="checkbox", name="pty", value="yes"), " With a terminal of its own"),
        ),
        el("div", parts.button("Start", look="primary"), class_="actions"),
        class_="panel",
    )


def _table(place: Place, profile: str, rows: Sequence[Listing], chosen: Filter) -> Html:
    found = [row for row in rows if chosen.takes(row)]
    if not rows:
        return parts.empty(
            "No background process is kept here. Start one above, or with ",
            el("code", f"hermes -p {profile} process start -- COMMAND"),
            ".",
        )
    if not found:
        return parts.empty("None of the processes is like that.")
    query = {"environment": chosen.environment}
    return parts.table(
        "Processes",
        ("Process", "State", "Command", "PID", "Started"),
        [
            (
                el(
                    "a",
                    row.session_id,
                    href=place.profile_url(profile, f"processes/{row.session_id}", **query),
                ),
                _state(row),
                el("code", plain(row.command, _TITLE)),
                str(row.pid or ""),
                parts.when(row.started_at),
            )
            for row in found
        ],
    )


def _state(row: Listing) -> Content:
    tone, words, note = state_of(row)
    return [parts.pill(tone, words), el("span", note, class_="note")]


def _head(row: Listing) -> Content:
    return [
        el("p", _state(row), data_status=row.status),
        el("pre", plain(row.command, 8000), class_="message"),
        parts.facts(
            (
                ("PID", str(row.pid or "")),
                ("Started", parts.when(row.started_at)),
                ("Directory", plain(row.cwd, 600)),
                ("Terminal", "its own" if row.pty else None),
                ("Session", plain(row.session_key or "", 200)),
            )
        ),
    ]


def _controls(place: Place, here: str, row: Listing, environment: str | None) -> Content:
    if row.status != "running":
        return None
    return parts.confirmed(
        place,
        f"{here}/kill",
        "Kill…",
        "It gets TERM, and after five seconds KILL, with every process that it began.",
        "Kill this process",
        parts.hidden("environment", environment),
    )


def _output(here: str, output: Output | None, environment: str | None) -> Content:
    query = f"?environment={environment}" if environment else ""
    skipped = output.skipped if output else 0
    return [
        el(
            "div",
            el("h2", "Output"),
            el("a", "Download", href=f"{here}/log{query}", download=True, class_="button end"),
            class_="tools",
        ),
        el("p", f"{skipped} bytes before this are not shown here.", class_="hint", hidden=not skipped),
        el(
            "div",
            el("span", output.text) if output and output.text else None,
            id="output",
            class_="terminal",
            role="log",
            aria_live="off",
            aria_label="Output",
            tabindex=0,
        ),
    ]


def _input(place: Place, here: str, environment: str | None) -> Html:
    return parts.form(
        place,
        f"{here}/input",
        parts.hidden("environment", environment),
        parts.field(
            "Into its stdin",
            el("input", id="text", name="text", maxlength=4000, autocomplete="off", spellcheck="false"),
            "text",
        ),
        el(
            "div",
            parts.button("Send line", name="verb", value="submit", look="primary"),
            parts.button("Send without Enter", name="verb", value="write"),
            parts.button("Close stdin", name="verb", value="close"),
            class_="actions",
        ),
        class_="panel",
    )
