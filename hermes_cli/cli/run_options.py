"""What `run start` and `chat` can say of a run beyond its message, once for both."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from hermes_cli.gateway.run_api import RunBody

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class RunOptions:
    """As they were typed."""

    workspace: str | None
    deadline: float | None
    provider: str | None
    model: str | None
    toolsets: tuple[str, ...]
    attachments: tuple[str, ...]

    def body(self, message: str, session_id: str | None, *, queue: bool) -> RunBody:
        """The body that starts a run; `session_id` is a whole one."""
        from hermes_cli.gateway.run_api import RunBody

        return RunBody(
            message=message,
            session_id=session_id,
            workspace=None if self.workspace is None else _absolute(self.workspace),
            deadline_seconds=self.deadline,
            provider=self.provider,
            model=self.model,
            toolsets=list(self.toolsets),
            attachments=[_absolute(path) for path in self.attachments],
            on_conflict="queue" if queue else None,
            source="cli",
        )


def run_options(command: CommandT) -> CommandT:
    """Give a command these options; it is called with them as `options`."""

    @wraps(command)
    def call(
        *given: Any,
        workspace: str | None,
        deadline: float | None,
        provider: str | None,
        model: str | None,
        toolsets: tuple[str, ...],
        attachments: tuple[str, ...],
        **others: Any,
    ) -> Any:
        options = RunOptions(workspace, deadline, provider, model, toolsets, attachments)
        return command(*given, options=options, **others)

    for option in reversed(
        (
            click.option(
                "--workspace", metavar="DIRECTORY", help="Where it works; else the profile's workspace."
            ),
            click.option(
                "--deadline",
                type=click.FloatRange(min=0, min_open=True),
                metavar="SECONDS",
                help="At most.",
            ),
            click.option("--provider", metavar="NAME", help="For an agent that takes one."),
            click.option("--model", metavar="NAME", help="For an agent that takes one."),
            click.option(
                "--toolset",
                "toolsets",
                metavar="NAME",
                multiple=True,
                help="For an agent that takes them; as often as you like.",
            ),
            click.option(
                "--attach",
                "attachments",
                metavar="FILE",
                multiple=True,
                help="A file in its workspace, for an agent that takes them; as often as you like.",
            ),
        )
    ):
        call = option(call)
    return call  # type: ignore[return-value]


def _absolute(path: str) -> str:
    """Its links are its own."""
    return os.path.abspath(path)  # noqa: PTH100
