"""What can be asked of a running process, with the questions before it: attach, write, end of input, kill."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hermes_cli.faces.background import in_thread
from hermes_cli.faces.printable import plain

if TYPE_CHECKING:
    from hermes_cli.gateway.process_client import ProcessClient
    from hermes_cli.processes.environments import Environment
    from hermes_cli.processes.types import Spec

    from .app import HermesApp

DETACH_KEYS = "ctrl-]"


@dataclass(frozen=True)
class ProcessOrders:
    """Of one process."""

    app: HermesApp
    profile: str
    process_id: str
    command: str
    """As it is shown, safe to show."""
    done: Callable[[], None]
    """Called when something was done, or failed."""

    def ask_for_line(self) -> None:
        """Ask for a line, and write it and Enter to the process."""
        from .screens.ask import AskScreen

        ask = AskScreen(
            f"Write to {self.process_id}", f"{self.command}\nThe line and Enter go to it.", optional=True
        )
        self.app.push_screen(ask, self._write)

    def ask_to_kill(self) -> None:
        """Ask whether it is meant; TERM, then KILL after five seconds, down to the last descendant."""
        from .screens.question import NO, Answer, QuestionScreen

        text = f"{self.command}\n\nIt and all that it started are asked to end, and killed after 5 seconds."
        question = QuestionScreen(f"Kill {self.process_id}?", text, NO, Answer("y", "Kill it"))
        self.app.push_screen(question, lambda answer: self._kill() if answer == "y" else None)

    def close_input(self) -> None:
        """Tell the process that nothing more comes."""
        self._order(
            f"closing the input of {self.process_id}",
            lambda client: (
                f"the input of {self.process_id} is closed"
                if client.close(self.process_id).status == "closed"
                else f"the input of {self.process_id} was closed already"
            ),
        )

    def attach(self) -> None:
        """Give the real terminal to the process, until it ends or the detach key is pressed."""
        self.app.run_worker(self._attach(), group="attach", exclusive=True)

    def _write(self, line: str | None) -> None:
        if line is None:
            return

        def work(client: ProcessClient) -> str:
            wrote = client.submit(self.process_id, line)
            if wrote.status == "partial":
                return f"{self.process_id} does not read: {wrote.bytes_written} bytes of it went in"
            return f"written to {self.process_id}"

        self._order(f"writing to {self.process_id}", work)

    def _kill(self) -> None:
        def work(client: ProcessClient) -> str:
            killed = client.kill(self.process_id)
            if killed.status == "error":
                return f"{self.process_id} does not end: {plain(killed.message or 'nobody knows why', 300)}"
            if killed.status == "already_exited":
                return f"{self.process_id} had ended already"
            return f"{self.process_id} is killed: {killed.ended} processes ended"

        self._order(f"killing {self.process_id}", work)

    def _order(self, going: str, work: Callable[[ProcessClient], str]) -> None:
        self.app.order(going, lambda: work(self.app.installation.client(self.profile).processes), self.done)

    async def _attach(self) -> None:
        from hermes_cli.faces.attach import spec_of_running

        environment: Environment | None = None
        try:
            environment = await in_thread(self._environment)
            opened = environment
            spec = await in_thread(lambda: spec_of_running(opened, self.process_id))
            said = await self._be_at(environment, spec)
        except Exception as error:
            # The face stays up whatever the process or its sandbox does.
            self.app.tell(f"✕ {plain(str(error), 600) or type(error).__name__}", bad=True)
        else:
            self.app.tell(said)
        finally:
            if environment is not None:
                environment.disconnect()
            self.done()

    def _environment(self) -> Environment:
        """Where the profile has its processes: asked without the gateway, as `hermes process attach` does."""
        from hermes_cli.processes.environments import open_environment

        return open_environment(self.app.installation.home(self.profile))

    async def _be_at(self, environment: Environment, spec: Spec) -> str:
        from hermes_cli.faces.attach import attach
        from hermes_cli.faces.terminal import DetachKeys, Terminal

        from .words import process_words

        app = self.app
        # Nothing is drawn meanwhile: the terminal is the process's.
        with app.suspend(), app.batch_update():
            try:
                print(f"hermes: attached to {spec.id}; {DETACH_KEYS} detaches", flush=True)
                with Terminal(sys.stdin.fileno(), sys.stdout.fileno()) as terminal:
                    left = await attach(environment, spec, terminal, DetachKeys(DETACH_KEYS))
            finally:
                app.heed_signals()
        if left.signal:
            app.exit(return_code=128 + left.signal)
        if left.polled.status == "running":
            return f"● detached from {spec.id}; it goes on"
        return f"{process_words(left.polled.status, left.polled.exit_code)}: {spec.id}"
