"""A home with gateways, the interface on it, and looks at what is on the screen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from textual.pilot import Pilot

from hermes_cli.gateway.lifecycle import Lifecycle
from hermes_cli.home import Home
from hermes_cli.status import StatusReport, collect
from hermes_cli.tui.app import HermesApp
from hermes_cli.tui.installation import Installation
from hermes_cli.tui.screens.base import HermesScreen
from hermes_cli.tui.screens.overview import OverviewScreen
from tests.fakes.s6_service_manager import FakeS6ServiceManager

Scene = Callable[[Pilot[None]], Awaitable[None]]

PATIENCE = 30.0
"""Seconds until what was waited for counts as not coming."""


class Stage:
    """A home with gateways below `root`, their manager, and the interface on it."""

    def __init__(self, root: Path, *profiles: str, clock: Callable[[], float] | None = None) -> None:
        self.root = root
        self.manager = FakeS6ServiceManager("default", *profiles)
        for port, profile in enumerate(profiles, 8643):
            home = Home.of(profile, root)
            home.path.mkdir(parents=True)
            home.config.write_text(f"gateway:\n  port: {port}\n")
        self.look: Callable[[], StatusReport] = lambda: collect(root, self.manager)
        self._clock = clock

    def log(self, profile: str, text: str) -> None:
        directory = Home.of(profile, self.root).gateway_log
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / "current").open("a") as file:
            file.write(text)

    def installation(self) -> Installation:
        return Installation(
            root=self.root,
            look=lambda: self.look(),
            operator=lambda: Lifecycle(self.manager, self.root),
            manager=lambda: self.manager,
            **({"clock": self._clock} if self._clock is not None else {}),
        )

    def play(self, scene: Scene, *, profile: str | None = None, size: tuple[int, int] = (80, 24)) -> None:
        async def main() -> None:
            app = HermesApp(self.installation(), profile, interval=0.05)
            async with asyncio.timeout(2 * PATIENCE), app.run_test(size=size) as pilot:
                await until(pilot, lambda: "default" in screen(pilot))
                await scene(pilot)

        asyncio.run(main())


def screen(pilot: Pilot[None]) -> str:
    """What is to be seen, as text."""
    lines = pilot.app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in lines)


async def until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"not within {PATIENCE:.0f} s; on the screen:\n{screen(pilot)}")
        await pilot.pause(0.01)


async def sees(pilot: Pilot[None], *texts: str) -> None:
    """Wait until all of them are on the screen."""
    for text in texts:
        await until(pilot, lambda text=text: text in screen(pilot))  # type: ignore[misc]


def overview_of(pilot: Pilot[None]) -> OverviewScreen:
    first = pilot.app.screen_stack[0]
    assert isinstance(first, OverviewScreen)
    return first


def chosen(pilot: Pilot[None]) -> str | None:
    return overview_of(pilot).profile


def said(pilot: Pilot[None]) -> str:
    """What the line above the keys says, whole."""
    front = next(one for one in reversed(pilot.app.screen_stack) if isinstance(one, HermesScreen))
    return str(front.said_line.content)


def shows(pilot: Pilot[None], text: str) -> bool:
    return text in screen(pilot)


def says(pilot: Pilot[None], text: str) -> bool:
    return text in said(pilot)
