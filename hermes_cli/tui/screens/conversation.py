"""A conversation with a profile's agent: what was said, the answer as it comes, a box for what is next."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.widget import Widget

from hermes_cli.faces.background import in_thread
from hermes_cli.faces.conversation import Conversation, Turn, read, send
from hermes_cli.faces.overview import Overview
from hermes_cli.faces.reach import FAILURES, OK, Reach, reach
from hermes_cli.gateway.run_api import EventPage, SessionView
from hermes_cli.tui.following import WAIT, keep_asking
from hermes_cli.tui.here import hermes
from hermes_cli.tui.installation import Installation
from hermes_cli.tui.run_orders import RunOrders
from hermes_cli.tui.run_text import ask_for_page, show_page
from hermes_cli.tui.widgets.lines import NoteLine, ReachLine
from hermes_cli.tui.widgets.log_pane import LogPane
from hermes_cli.tui.widgets.message_box import MessageBox
from hermes_cli.tui.widgets.text_log import Line

from .base import InnerScreen

_INTERVAL = 1.0
"""Seconds until it is asked again whether somebody else has said something."""

_SOURCE = "tui"


class ConversationScreen(InnerScreen):
    """Shows the end of it, and goes on with it whoever says something."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "decide", "allow, deny"),
        Binding("f4", "cancel", "cancel the answer"),
    ]

    def __init__(self, installation: Installation, profile: str, session_id: str | None) -> None:
        """`session_id`: None begins a conversation with the first message."""
        super().__init__(installation, profile)
        self._session = session_id
        self._reach = ReachLine()
        self._note = NoteLine()
        self.pane = LogPane()
        self.box = MessageBox()
        self._active: str | None = None
        """The run whose answer is shown as it comes."""
        self._cursor = "0"
        self._look_now = asyncio.Event()

    def body(self) -> Iterable[Widget]:
        yield self._reach
        yield self.pane
        yield self._note
        yield self.box

    def on_mount(self) -> None:
        self.title_line.show("A new conversation", f"with {self.profile}")
        self.box.focus()
        if self._session is None:
            self.pane.log_view.add([Line("Say something: the first message begins the conversation.", "dim")])
        else:
            self._live(self._session)

    def show_status(self, latest: Overview) -> None:
        pass  # what is wrong with the gateway is said where its answers would be

    def action_back(self) -> None:
        if not self.pane.end_search():
            super().action_back()

    def action_decide(self) -> None:
        if (orders := self._orders()) is not None:
            orders.decide()

    def action_cancel(self) -> None:
        if (orders := self._orders()) is not None:
            orders.cancel()

    def _orders(self) -> RunOrders | None:
        app = hermes(self)
        if self._active is None:
            app.tell("✕ no answer is under way", bad=True)
            return None
        return RunOrders(app, self.profile, self._active, lambda: None)

    # Saying something

    @on(MessageBox.Sent)
    def _on_sent(self, event: MessageBox.Sent) -> None:
        self._send(event.text)

    @work(group="send")
    async def _send(self, text: str) -> None:
        self.box.clear()
        client = self.installation.client(self.profile).runs
        try:
            started = await in_thread(lambda: send(client, self._session, text, source=_SOURCE))
        except FAILURES as error:
            found = reach(error, self.installation.home(self.profile))
            hermes(self).tell(f"✕ {found.sentence} {found.next_step}".strip(), bad=True)
            if not self.box.text:  # nothing that was written is lost
                self.box.text = text
                self.box.move_cursor(self.box.document.end)
            return
        hermes(self).tell("")
        self.pane.log_view.follow(True)
        if self._session is None:
            self._session = started.session_id
            self._live(started.session_id)
        self._look_now.set()

    # Hearing what is said

    @work(exclusive=True, group="conversation")
    async def _live(self, session_id: str) -> None:
        """Show the whole of it, then the answer under way; again whenever a run has ended or begun."""
        home = self.installation.home(self.profile)
        client = self.installation.client(self.profile).runs
        found: list[Conversation] = []

        def take(conversation: Conversation) -> bool:
            found[:] = [conversation]
            return False

        while True:
            self._look_now.clear()
            found.clear()
            await keep_asking(home, lambda: read(client, session_id), take, self._stands)
            if not found:
                return
            conversation = found[0]
            self._show(conversation)
            if conversation.active is not None:
                await self._follow(conversation.active.run_id)
            else:
                await self._wait_for_more(conversation.session)

    async def _follow(self, run_id: str) -> None:
        """Show the answer of the run as it comes, to its end."""
        client = self.installation.client(self.profile).runs
        self._active, self._cursor = run_id, "0"
        try:
            await keep_asking(
                self.installation.home(self.profile),
                lambda: ask_for_page(client, run_id, self._cursor, WAIT),
                self._take_events,
                self._stands,
            )
        finally:
            self._active = None

    def _take_events(self, answer: tuple[str | None, EventPage]) -> bool:
        snapshot, page = answer
        show_page(self.pane.log_view, snapshot, page, quiet=True)
        self._cursor = page.cursor
        waits = page.status == "awaiting_approval"
        words = "It waits to be allowed: F2 shows what, and asks." if waits else page.status.replace("_", " ")
        self._note.show("" if page.terminal_state else f"◐ {words}")
        return page.terminal_state is None or page.cursor != page.last_event_id

    async def _wait_for_more(self, session: SessionView) -> None:
        """Return when the session has another run, or something was sent."""
        client = self.installation.client(self.profile).runs
        while not self._look_now.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_INTERVAL):
                    await self._look_now.wait()
            try:
                now = await in_thread(lambda: client.session(session.session_id))
            except FAILURES as error:
                self._stands(reach(error, self.installation.home(self.profile)))
                continue
            self._stands(OK)
            if (now.latest_run_id, now.runs) != (session.latest_run_id, session.runs):
                return

    def _show(self, conversation: Conversation) -> None:
        log = self.pane.log_view
        place = log.scroll_offset.y
        log.clear()
        log.add(_lines(conversation))
        if not log.following:
            log.scroll_to(y=place, animate=False, immediate=True)
        self.title_line.show(conversation.title or conversation.session.session_id, f"with {self.profile}")
        waiting = sum(turn.status == "queued" for turn in conversation.turns)
        self._note.show(f"◐ {waiting} messages wait for their turn" if waiting else "")

    def _stands(self, found: Reach) -> None:
        self._reach.show(found)


def _lines(conversation: Conversation) -> Iterator[Line]:
    """All that has been said, and the message whose answer comes."""
    if conversation.left_out:
        yield Line(f"({conversation.left_out} earlier turns are in 'hermes session export')", "dim")
    active = conversation.active.run_id if conversation.active is not None else None
    for turn in conversation.turns:
        yield from _turn(turn)
        if turn.run_id == active and turn.kind == "answer":
            return  # what waits behind it is counted


def _turn(turn: Turn) -> Iterator[Line]:
    if turn.kind == "reset":
        yield Line("— the conversation began anew here", "dim")
        return
    lines = turn.text.removesuffix("\n").split("\n") if turn.text else []
    if turn.kind == "message":
        yield from (
            Line(f"{'>' if number == 0 else ' '} {line}", "bold") for number, line in enumerate(lines)
        )
        return
    yield from (Line(line) for line in lines)
    if turn.status not in ("completed", "queued", "running") and turn.note:
        yield Line(f"— {turn.status.replace('_', ' ')}: {turn.note}", "dim")
    elif turn.note:
        yield Line(f"— {turn.note}", "dim")
