"""Events of a run as a page shows them: text that goes on, notes between it; or each event as it is."""

from __future__ import annotations

from typing import Any

from hermes_cli.faces.printable import Flowing, plain
from hermes_cli.faces.run_words import note_of, payload_of
from hermes_cli.gateway.run_api import RunEvent

Piece = list[Any]
"""`["text", text]`, `["note", type, words]`, or of raw events `["event", seq, seconds, type, payload]`."""


class Pieces:
    """Events of a run as what is shown of them, each text going on behind the one before."""

    def __init__(self, *, raw: bool = False) -> None:
        self._raw = raw
        self._flow = Flowing()

    def of(self, events: list[RunEvent]) -> list[Piece]:
        if self._raw:
            return [["event", one.seq, one.created_at, _type(one), payload_of(one)] for one in events]
        pieces: list[Piece] = []
        for one in events:
            if one.type != "delta":
                pieces.append(["note", _type(one), note_of(one)])
                continue
            text = self._flow.take(str(one.payload.get("text", "")))
            if pieces and pieces[-1][0] == "text":
                pieces[-1][1] += text
            elif text:
                pieces.append(["text", text])
        return pieces


def _type(one: RunEvent) -> str:
    return plain(one.type, 60)
