"""The tools of one profile behind one call that never raises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .approvals import Approvals
from .context import ToolContext
from .limits import longest_wait
from .process import Process
from .progress import ProgressReports
from .results import Result, failure
from .schemas import schemas
from .terminal import Terminal
from .verbs import ProcessVerbs

if TYPE_CHECKING:
    from hermes_cli.home import Home
    from hermes_cli.processes.environments import Environment, Kind


class Toolbox:
    """`terminal` and `process` for function calling. Threads may share it."""

    def __init__(
        self,
        registry: ProcessVerbs,
        approvals: Approvals,
        *,
        environ: Mapping[str, str] | None = None,
        environment: Environment | None = None,
    ) -> None:
        """`environ` holds TERMINAL_TIMEOUT: the seconds a call may block; os.environ if None.

        `environment`: what `registry` is, where it can say so; `close` lets go of it then.
        """
        self.approvals = approvals
        self._environment = environment
        self._longest = longest_wait(environ)
        self._reports = ProgressReports(registry)
        self._calls: dict[str, Callable[[object, ToolContext], Result]] = {
            "terminal": Terminal(registry, approvals, self._longest, self._reports, self._home).call,
            "process": Process(registry, approvals).call,
        }

    def schemas(self) -> list[dict[str, Any]]:
        """What a model is told: `name`, `description` and `parameters` of each tool."""
        return schemas(self._longest, self._environment.name if self._environment is not None else None)

    def call(self, name: str, arguments: object, context: ToolContext | None = None) -> Result:
        """Run a tool. `arguments`: an object, or its JSON. Never raises for anything a model can send.

        The result is plain data for JSON. `status` is there in all but lists; failures have a `code` and a
        `message`, one sentence that says what to do.
        """
        call = self._calls.get(name)
        if call is None:
            known = " and ".join(self._calls)
            message = f"there is no tool {str(name)[:60]!r}; the tools are {known}"
            return {"status": "error", "code": "unknown_tool", "message": message}
        try:
            return call(arguments, context or ToolContext())
        except Exception as error:
            return failure(error, tool=name)

    def close(self) -> None:
        """End progress reports. Processes go on."""
        self._reports.close()
        if self._environment is not None:
            self._environment.disconnect()

    def _home(self) -> str | None:
        return self._environment.home_directory if self._environment is not None else None


def open_toolbox(
    home: Home,
    *,
    environment: Kind | None = None,
    approvals: Approvals | None = None,
    environ: Mapping[str, str] | None = None,
) -> Toolbox:
    """The tools of a profile, on the environment that its configuration says, or on `environment` instead.

    A sandbox is connected by the first call. A workspace of this machine that the sandbox does not have is
    replaced by the sandbox's own directory, with a warning in the result. Raises `ConfigError`, and
    `EnvironmentUnusableError` where the configuration does not say which container or host.
    """
    from hermes_cli.processes.environments import open_environment

    opened = open_environment(home, environment)
    return Toolbox(opened, approvals or Approvals(home), environ=environ, environment=opened)
