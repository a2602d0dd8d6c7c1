"""The interface of an agent: from a run's request to a process, and from its output to events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from hermes_cli.config.schema import AgentInput
from hermes_cli.processes.types import StartRequest
from hermes_cli.runs.types import NewEvent, RunRequest

if TYPE_CHECKING:
    from .assignment import Assignment

Input = AgentInput

INPUTS: frozenset[Input] = frozenset(get_args(AgentInput))

Control = Literal["cancel", "approval", "clarify", "message", "goal"]
"""What a client can ask of a run. Every agent can be cancelled: that is the runner's doing."""


@dataclass(frozen=True, slots=True)
class Danger:
    """Why a run waits for a person before it starts."""

    pattern_keys: tuple[str, ...]
    description: str


@dataclass(frozen=True, slots=True)
class Ended:
    """How the process of a run ended, as it was observed."""

    state: Literal["exited", "killed", "lost"]
    exit_code: int | None
    signal: int | None
    reason: str


class Translator(Protocol):
    """Makes events of one run's output, which comes in pieces of whole characters, in order, each once.

    It has no memory but `state`, which is kept with the run: after a restart another goes on from there.
    """

    @property
    def state(self) -> dict[str, Any]: ...

    def feed(self, text: str) -> list[NewEvent]: ...

    def gap(self) -> list[NewEvent]:
        """What comes next does not continue what came before: some output was dropped."""

    def finish(self, ended: Ended) -> list[NewEvent]:
        """The last events; the last of them is terminal."""


class Agent(Protocol):
    """One kind of agent, as a profile has configured it."""

    @property
    def name(self) -> str: ...

    @property
    def controls(self) -> frozenset[Control]: ...

    @property
    def inputs(self) -> frozenset[Input]:
        """What it has a use for: a run that names another is refused."""

    def danger(self, request: RunRequest) -> Danger | None:
        """What a person has to allow first; None for nothing."""

    def process(self, assignment: Assignment) -> StartRequest:
        """What to start. Raises `RunError` for a run that this agent cannot take."""

    def translator(self, state: dict[str, Any]) -> Translator:
        """A reader of its output; `state` is {} at the beginning."""
