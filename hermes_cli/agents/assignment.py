"""A run as its agent gets it, with its conversation: as variables, and as values for a command line."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from hermes_cli.runs.errors import BadRequestError, UnsupportedError
from hermes_cli.runs.types import RunRequest

from .text import check_text
from .types import Agent, Input

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@+-]{0,255}")
"""Of a provider, a model or a toolset: never an option of the program that gets it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What an agent is told of a run."""

    run_id: str
    session_id: str
    profile: str
    workspace: str
    """An absolute path."""
    message: str
    provider: str = ""
    model: str = ""
    """Empty where neither the run nor the profile names one."""
    toolsets: tuple[str, ...] = ()
    attachments: tuple[str, ...] = ()
    """Absolute paths of files in the workspace, without links."""
    session_log: str = ""
    """The path of the conversation so far, JSON lines."""
    session_epoch: int = 0
    """When the present conversation began, in seconds since the epoch."""
    session_turn: int = 0
    """Runs of the present conversation that have ended: 0 at its beginning."""

    def values(self) -> dict[str, str]:
        """By the names that `config.command_line` knows."""
        return {
            "run_id": self.run_id,
            "session_id": self.session_id,
            "session_log": self.session_log,
            "session_epoch": str(self.session_epoch),
            "session_turn": str(self.session_turn),
            "profile": self.profile,
            "workspace": self.workspace,
            "message": self.message,
            "provider": self.provider,
            "model": self.model,
            "toolsets": ",".join(self.toolsets),
            "attachments": json.dumps(self.attachments, ensure_ascii=False),
        }

    def variables(self) -> dict[str, str]:
        """What the process finds in its environment: all of them, always; but no message."""
        return {f"HERMES_{name.upper()}": text for name, text in self.values().items() if name != "message"}


def check_inputs(agent: Agent, request: RunRequest) -> None:
    """Raises `UnsupportedError` for what the agent has no use for, `BadRequestError` for no name."""
    given: dict[Input, list[str]] = {
        "attachments": request.attachments,
        "model": [request.model] if request.model else [],
        "provider": [request.provider] if request.provider else [],
        "toolsets": request.toolsets,
    }
    for field, values in given.items():
        if values and field not in agent.inputs:
            raise UnsupportedError(
                f"the {agent.name} agent of this profile takes no {field}; leave it out, or name it in "
                f"agent.inputs, or {{{field}}} in agent.command"
            )
        for value in values:
            if field != "attachments" and not _NAME.fullmatch(value):
                raise BadRequestError(
                    f"{value[:80]!r} is no name for {field}: a letter or a digit comes first, "
                    "then those and _ . : / @ + -"
                )


def attached(names: Sequence[str], workspace: str) -> tuple[str, ...]:
    """Absolute paths without links of the attachments, which are files in `workspace`.

    Raises `BadRequestError` for one that is not.
    """
    root = os.path.realpath(workspace)
    return tuple(_attached(name, root) for name in names)


def _attached(name: str, root: str) -> str:
    check_text(name)
    if not name or "\0" in name:
        raise BadRequestError(f"{name!r} is no path; an attachment is a file in the workspace")
    path = os.path.realpath(os.path.join(root, name))  # noqa: PTH118
    if os.path.commonpath((root, path)) != root:
        raise BadRequestError(f"the attachment {name!r} is outside the workspace {root}; copy it there")
    if not os.path.isfile(path):  # noqa: PTH113
        raise BadRequestError(
            f"the attachment {name!r} is no file in the workspace {root}; put it there first"
        )
    return path
