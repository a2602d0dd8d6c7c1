"""What can be asked of a run, with the questions before it: allow or deny, cancel, try again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hermes_cli.faces.background import in_thread
from hermes_cli.faces.printable import plain, plain_text
from hermes_cli.faces.reach import FAILURES, reach
from hermes_cli.faces.verbs import VerbError

if TYPE_CHECKING:
    from hermes_cli.gateway.run_api import Controlled
    from hermes_cli.gateway.run_client import RunClient

    from .app import HermesApp


@dataclass(frozen=True)
class Approval:
    """What a run waits to be allowed. The texts are safe to show."""

    approval_id: str
    description: str
    command: str


@dataclass(frozen=True)
class RunOrders:
    """Of one run."""

    app: HermesApp
    profile: str
    run_id: str
    done: Callable[[], None]
    """Called when something was done, or failed."""

    def decide(self) -> None:
        """Show what the run waits for, and ask whether it may."""
        self.app.run_worker(self._ask_to_allow(), group="approval", exclusive=True)

    def cancel(self) -> None:
        """Ask the run to end."""
        self._order(f"cancelling {self.run_id}", lambda client: _outcome(client.cancel(self.run_id)))

    def ask_to_cancel(self) -> None:
        """The same, after a question."""
        from .screens.question import NO, Answer, QuestionScreen

        text = "All that it started ends with it."
        question = QuestionScreen(f"Cancel {self.run_id}?", text, NO, Answer("y", "Cancel it"))
        self.app.push_screen(question, lambda answer: self.cancel() if answer == "y" else None)

    def retry(self, then: Callable[[str], None]) -> None:
        """Start a new run of the same request; `then` gets its id."""
        begun: list[str] = []

        def work() -> str:
            begun.append(self._client().retry(self.run_id).run_id)
            return f"tried again as {begun[0]}"

        def done() -> None:
            self.done()
            if begun:
                then(begun[0])

        self.app.order(f"trying {self.run_id} again", work, done)

    async def _ask_to_allow(self) -> None:
        from .screens.question import Answer, QuestionScreen

        try:
            approval = await in_thread(lambda: pending_approval(self._client(), self.run_id))
        except FAILURES as error:
            found = reach(error, self.app.installation.home(self.profile))
            self.app.tell(f"✕ {found.sentence} {found.next_step}".strip(), bad=True)
            return
        if approval is None:
            self.app.tell(f"✕ {self.run_id} waits for nothing", bad=True)
            return
        text = f"This is dangerous: {approval.description}\n\n{approval.command}"
        answers = (Answer("l", "Leave it"), Answer("d", "Deny it"), Answer("y", "Allow it"))
        question = QuestionScreen(f"Allow {self.run_id} to do this?", text, *answers)
        self.app.push_screen(question, lambda answer: self._decide(approval, answer))

    def _decide(self, approval: Approval, answer: str | None) -> None:
        if answer in ("y", "d"):
            going = "allowing" if answer == "y" else "denying"
            self._order(
                f"{going} {self.run_id}",
                lambda client: _outcome(client.decide(self.run_id, answer == "y", approval.approval_id)),
            )

    def _client(self) -> RunClient:
        return self.app.installation.client(self.profile).runs

    def _order(self, going: str, work: Callable[[RunClient], str]) -> None:
        self.app.order(going, lambda: work(self._client()), self.done)


def pending_approval(client: RunClient, run_id: str) -> Approval | None:
    """What the run waits for now; None where it waits for nothing. Raises `reach.FAILURES`."""
    pending = client.get(run_id).pending_approval_id
    if pending is None:
        return None
    cursor = "0"
    while True:
        page = client.page(run_id, cursor)
        for event in page.events:
            if event.type == "approval_requested" and event.payload.get("approval_id") == pending:
                return Approval(
                    pending,
                    plain(str(event.payload.get("description", "")), 600),
                    plain_text(str(event.payload.get("command", ""))),
                )
        if not page.events:
            return Approval(pending, "what it asks for is not in its journal any more", "")
        cursor = page.cursor


def _outcome(answer: Controlled) -> str:
    """What became of a control. Raises `VerbError` where it was not taken."""
    said = plain(answer.safe_message, 400)
    if not answer.accepted:
        raise VerbError(said)
    return said
