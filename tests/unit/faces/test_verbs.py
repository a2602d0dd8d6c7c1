"""A verb is done once, told in words, and never takes a face down."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hermes_cli.faces.verbs import BusyError, VerbError, Verbs


class Lifecycle:
    """Does what it is told, when it is let."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.let = threading.Event()
        self.let.set()
        self.error: Exception | None = None

    def start(self, profile: str) -> None:
        self._do("start", profile)

    def stop(self, profile: str) -> None:
        self._do("stop", profile)

    def restart(self, profile: str) -> None:
        self._do("restart", profile)

    def _do(self, verb: str, profile: str) -> None:
        self.calls.append((verb, profile))
        assert self.let.wait(20)
        if self.error is not None:
            raise self.error


def test_what_was_done_is_said_with_its_time() -> None:
    lifecycle = Lifecycle()
    verbs = Verbs(lambda: lifecycle, lambda: None, clock=lambda: 7.0)
    assert asyncio.run(verbs.gateway("start", "coder")) == "coder is ready (0.0 s)"
    assert lifecycle.calls == [("start", "coder")]
    assert not verbs.going


def test_two_at_once_on_one_profile_are_refused_and_on_two_are_not() -> None:
    lifecycle = Lifecycle()
    lifecycle.let.clear()
    verbs = Verbs(lambda: lifecycle, lambda: None)

    async def main() -> list[str]:
        first = asyncio.ensure_future(verbs.gateway("restart", "coder"))
        other = asyncio.ensure_future(verbs.gateway("stop", "writer"))
        while len(lifecycle.calls) < 2:
            await asyncio.sleep(0.001)
        with pytest.raises(BusyError, match="restarting coder is still under way"):
            await verbs.gateway("stop", "coder")
        assert "restarting coder" in verbs.text()
        await verbs.do("stop", "coder")
        assert verbs.failed
        lifecycle.let.set()
        return [await first, await other]

    assert [said.partition(" (")[0] for said in asyncio.run(main())] == [
        "coder is ready again",
        "writer is down",
    ]
    assert len(lifecycle.calls) == 2


def test_what_went_wrong_is_one_harmless_sentence() -> None:
    lifecycle = Lifecycle()
    lifecycle.error = RuntimeError("\x1b[31mno\nway")
    verbs = Verbs(lambda: lifecycle, lambda: None)
    with pytest.raises(VerbError, match="no\ufffdway"):
        asyncio.run(verbs.gateway("start", "coder"))
    asyncio.run(verbs.do("start", "coder"))
    assert (verbs.outcome, verbs.failed) == ("✕ no\ufffdway", True)
    assert not verbs.going
