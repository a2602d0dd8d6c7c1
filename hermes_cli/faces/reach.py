"""Whether a gateway can be reached, and what to do where it cannot: the same words on every face."""

from __future__ import annotations

from typing import Literal

import msgspec

from hermes_cli import __version__
from hermes_cli.gateway.client import GatewayAnswerError, GatewayUnreachableError
from hermes_cli.gateway.records import IntentRecord, ParkedRecord, StateRecord
from hermes_cli.gateway.resuming import RESTARTING
from hermes_cli.home import CorruptFileError, Home, RecordT, load

from .printable import plain

ReachState = Literal["ok", "down", "slow", "other_version", "refused"]

FAILURES = (GatewayUnreachableError, GatewayAnswerError, msgspec.MsgspecError)
"""What a call of a client may raise, and `reach` puts into words."""

_PASSING = frozenset({"store_unusable", "outbox", "lease_lost", "unreachable"})
"""Codes of refusals that end by themselves once somebody has made room, or the next gateway is there."""

_MAX_SENTENCE = 600


class Reach(msgspec.Struct, frozen=True):
    """How it stands with a gateway. The texts are safe to show."""

    state: ReachState
    sentence: str = ""
    """What is wrong; empty where nothing is."""
    next_step: str = ""
    """What to do about it."""
    code: str = ""
    """The gateway's own word for why it refused."""

    @property
    def comes_back(self) -> bool:
        """Whether the same may be asked again by itself: waiting can help."""
        return self.state not in ("ok", "refused") or self.code in _PASSING


OK = Reach("ok")


def reach(error: Exception, home: Home) -> Reach:
    """`error`, one of `FAILURES`, as its state. Reads the small files of `home`."""
    if isinstance(error, GatewayAnswerError):
        return _answered(error, home)
    if isinstance(error, GatewayUnreachableError):
        if isinstance(error.__cause__, TimeoutError):
            return Reach(
                "slow",
                f"The gateway of {_name(home)} is there, but does not answer in time.",
                "Wait, it is asked again; if it stays so, restart it.",
            )
        return _down(home)
    return _other_version(home)


def _answered(error: GatewayAnswerError, home: Home) -> Reach:
    if error.code in RESTARTING:
        sentence = (
            f"The gateway of {_name(home)} takes no work at the moment: {plain(error.detail, _MAX_SENTENCE)}."
        )
        return Reach("down", sentence, "Wait, it is asked again.", error.code)
    # What it does not know is another version's: its own refusals have codes of their own, but for the path.
    no_such_path = error.code == "not_found" and "/openapi.json" in error.detail
    if error.code in ("unknown", "method_not_allowed") or no_such_path:
        return _other_version(home)
    sentence = plain(error.detail, _MAX_SENTENCE)
    return Reach("refused", f"{sentence[:1].upper()}{sentence[1:]}.", "", error.code)


def _down(home: Home) -> Reach:
    name, command = _name(home), _command(home)
    parked = _read(home, "parked", ParkedRecord)
    if parked is not None:
        reason = plain(parked.reason, _MAX_SENTENCE)
        return Reach(
            "down",
            f"The gateway of {name} is parked: {reason}.",
            f"Mend it, then '{command} start'.",
            "parked",
        )
    intent = _read(home, "intent", IntentRecord)
    if intent is None or intent.intent == "stopped":
        return Reach("down", f"The gateway of {name} is stopped.", f"Start it: '{command} start'.", "stopped")
    return Reach(
        "down",
        f"The gateway of {name} does not answer: it may be starting again.",
        f"Wait, it is asked again; '{command} logs' says what it is at.",
    )


def _other_version(home: Home) -> Reach:
    state = _read(home, "state", StateRecord)
    theirs = plain(state.hermes_version, 40) if state is not None else ""
    if theirs and theirs != __version__:
        which = f"The gateway of {_name(home)} runs Hermes {theirs}, and this is {__version__}"
    else:
        which = f"The gateway of {_name(home)} answers as another version of Hermes would"
    return Reach(
        "other_version",
        f"{which}: they do not understand each other here.",
        f"Restart it, so that it runs this version: '{_command(home)} restart'.",
    )


def _read(home: Home, name: str, kind: type[RecordT]) -> RecordT | None:
    try:
        return load(getattr(home, name), kind)
    except (CorruptFileError, OSError):
        return None


def _name(home: Home) -> str:
    return plain(home.profile, 256)


def _command(home: Home) -> str:
    return "hermes gateway" if home.profile == "default" else f"hermes -p {_name(home)} gateway"
