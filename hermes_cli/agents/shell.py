"""The shell agent: the message is a command line, run in the workspace. What a new profile has."""

from __future__ import annotations

from typing import Any

from hermes_cli.processes.types import StartRequest
from hermes_cli.runs.errors import BadRequestError
from hermes_cli.runs.types import RunRequest

from .assignment import Assignment
from .text import TextTranslator, check_argument
from .types import INPUTS, Control, Danger, Input, Translator


class ShellAgent:
    """Dangerous commands wait for a person. What else a run names is there for the line, as variables."""

    name = "shell"
    inputs: frozenset[Input] = INPUTS
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

    def process(self, assignment: Assignment) -> StartRequest:
        line = assignment.message
        if not line.strip():
            raise BadRequestError("the message is empty: the shell agent takes a command line")
        check_argument(line)
        # A line that begins with one of these would be an option of the shell.
        if line[0] in "-+":
            line = f" {line}"
        return StartRequest(
            command=line, cwd=assignment.workspace, stdin="null", environment=assignment.variables()
        )

    def translator(self, state: dict[str, Any]) -> Translator:
        return TextTranslator(state)
