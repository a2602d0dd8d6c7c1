"""A run on the terminal: what it says as it comes, what it asks, and ^C."""

from __future__ import annotations

import re
import signal
import sys
from typing import TYPE_CHECKING

import click

from .exits import EXIT_INTERRUPTED
from .process_context import plain_line
from .run_context import exit_code_of

if TYPE_CHECKING:
    from hermes_cli.gateway.run_api import RunEvent
    from hermes_cli.gateway.run_client import RunClient


class Follower:
    """Shows one run from a cursor to its end. `asks`: approvals are asked for here, of a person."""

    def __init__(
        self, client: RunClient, run_id: str, *, as_json: bool, asks: bool, cancels: bool = True
    ) -> None:
        """`cancels`: the first ^C asks the run to end; else it leaves the run be, as the second does."""
        self._client = client
        self._run_id = run_id
        self._as_json = as_json
        self._asks = asks
        self._cancels = cancels
        self._cursor = "0"
        self._ends_line = True
        self._after_return = False

    def follow(self, cursor: str = "0") -> int:
        """Show it to its end; the exit code that says how it ended, 130 where it was left."""
        self._cursor = cursor
        try:
            try:
                return self._show()
            except KeyboardInterrupt:
                if not self._cancels or not self._ask_to_end():
                    return self._leave()
            return self._show()
        except KeyboardInterrupt:  # the second one, wherever the first had led by then
            return self._leave()

    def _show(self) -> int:
        for event in self._client.events(self._run_id, self._cursor):
            self._print(event)
            self._cursor = event.event_id
            if event.type == "approval_requested":
                self._approve(event)
            if event.terminal:
                return self._ended(event)
        # It had ended before the cursor.
        run = self._client.get(self._run_id)
        return exit_code_of(run.status, run.exit_code)

    def _print(self, event: RunEvent) -> None:
        if self._as_json:
            import msgspec

            click.echo(msgspec.json.encode(event))
        elif event.type == "delta":
            self._text(str(event.payload.get("text", "")))
        elif event.type == "output_dropped":
            self._say(f"{event.payload.get('dropped_bytes')} bytes were dropped for the limit")
        elif event.type == "stalled":
            self._say(f"{self._run_id} has said nothing for long; it goes on")

    def _text(self, text: str) -> None:
        if self._after_return and text.startswith("\n"):
            text = text[1:]
        self._after_return = text.endswith("\r")
        if not text:
            return
        self._ends_line = text.endswith(("\n", "\r"))
        lines = re.split("\r\n|\n|\r", text)
        click.echo("\n".join(map(plain_line, lines)), nl=False)

    def _approve(self, event: RunEvent) -> None:
        from hermes_cli.gateway.client import GatewayAnswerError

        approval = str(event.payload.get("approval_id"))
        what = plain_line(str(event.payload.get("description", "")))
        if self._as_json:
            return
        # Replayed, or decided by somebody else meanwhile.
        if self._client.get(self._run_id).pending_approval_id != approval:
            return
        if not self._asks:
            self._say(
                f"{self._run_id} waits to be allowed ({what}): "
                f"'hermes run approve {self._run_id}' or 'hermes run deny {self._run_id}'"
            )
            return
        self._say(f"this is dangerous: {what}")
        for line in str(event.payload.get("command", "")).splitlines()[:20]:
            click.echo(f"    {plain_line(line)}", err=True)
        try:
            allowed = click.confirm("Allow it?", default=False, err=True)
        except click.Abort:
            raise KeyboardInterrupt from None
        try:
            answer = self._client.decide(self._run_id, allowed, approval)
        except GatewayAnswerError as error:
            self._say(error.detail)
            return
        if not answer.accepted:
            self._say(answer.safe_message)

    def _ended(self, event: RunEvent) -> int:
        code = event.payload.get("exit_code")
        status = event.type
        if not self._as_json and status != "completed":
            reason = plain_line(str(event.payload.get("reason") or ""))
            words = f"{status} {code}" if status == "failed" and code is not None else status
            self._say(f"{self._run_id} {words}{f' ({reason})' if reason else ''}")
        self._end_line()
        return exit_code_of(status, code if isinstance(code, int) else None)

    def _ask_to_end(self) -> bool:
        from hermes_cli.home import HomeError

        try:
            answer = self._client.cancel(self._run_id)
        except HomeError as error:
            self._say(str(error))
            return False
        if answer.accepted:
            self._say(f"{self._run_id} is asked to end; ^C again leaves it be")
        return True

    def _leave(self) -> int:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the last words are to be heard
        try:
            self._say_how_to_come_back()
        finally:
            signal.signal(signal.SIGINT, before)
        return EXIT_INTERRUPTED

    def _say_how_to_come_back(self) -> None:
        self._say(f"{self._run_id} is left to itself; 'hermes run events -f {self._run_id}' comes back to it")

    def _say(self, text: str) -> None:
        self._end_line()
        click.echo(f"hermes: {plain_line(text)}", err=True)

    def _end_line(self) -> None:
        """What comes next begins a line of its own, on a terminal."""
        if not self._ends_line and sys.stdout.isatty():
            click.echo()
        self._ends_line = True


def is_person() -> bool:
    """Whether somebody sits at a terminal who can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()
