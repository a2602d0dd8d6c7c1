"""The shell agent: the message is a command line, run in the workspace. What a new profile has."""

from __future__ import annotations

from typing import Any

from hermes_cli.processes.types import StartRequest
from hermes_cli.runs.errors import BadRequestError
from hermes_cli.runs.types import RunRequest

from .text import TextTranslator, check_argument
from .types import Control, Danger, Translator


class ShellAgent:
    """Dangerous commands wait for a person."""

    name = "shell"
    controls: frozenset[Control] = frozenset({"cancel", "approval"})

    def danger(self, request: RunRequest) -> Danger | None:
        from hermes_cli.tools.danger import check

        findings = check(request.message).findings
        if not findings:
            return None
        return Danger(
            tuple(finding.pattern_key for finding in findings),
            "; ".join(finding.description for finding in findings),
        )

    def process(self, request: RunRequest, workspace: str) -> StartRequest:
        if not request.message.strip():
            raise BadRequestError("the message is empty: the shell agent takes a command line")
        check_argument(request.message)
        # A line that begins with one of these would be an option of the shell.
        line = f" {request.message}" if request.message[0] in "-+" else request.message
        return StartRequest(command=line, cwd=workspace, stdin="null")

    def translator(self, state: dict[str, Any]) -> Translator:
        return TextTranslator(state)
