"""The events of a sandbox in use, taken into the outbox by a thread for as long as something runs there."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from hermes_cli.processes import in_use
from hermes_cli.processes.environments import Environment
from hermes_cli.processes.errors import ProcessError
from hermes_cli.processes.outbox import Outbox

logger = logging.getLogger("hermes.gateway")

_WAIT = 50.0
"""Seconds of one long-poll."""
_FIRST = 1.0
_LONGEST = 60.0
"""Seconds between two tries to reach a sandbox, doubled from the first to the longest."""


class SandboxEvents:
    """Of one sandbox. Ends by itself, and with `stop`."""

    def __init__(
        self,
        directory: Path,
        environment: Environment,
        outbox: Outbox,
        *,
        when_taken: Callable[[], None],
        when_over: Callable[[], None],
    ) -> None:
        """`directory`: of the profile's processes here. The callbacks are called in the thread."""
        self._directory = directory
        self._environment = environment
        self._outbox = outbox
        self._when_taken = when_taken
        self._when_over = when_over
        self._stopped = threading.Event()
        self._trouble = ""
        # A daemon: what it has not taken stays in the sandbox, and is taken by the next gateway.
        threading.Thread(target=self._run, name=f"events-{environment.kind}", daemon=True).start()

    def stop(self) -> None:
        """Begin nothing more. A long-poll ends when the environment is disconnected."""
        self._stopped.set()

    def _run(self) -> None:
        delay = _FIRST
        while not self._stopped.is_set():
            try:
                if self._round():
                    break
                delay, self._trouble = _FIRST, ""
            except (ProcessError, OSError) as error:
                self._complain(error)
                self._stopped.wait(delay)
                delay = min(2 * delay, _LONGEST)
        self._when_over()

    def _round(self) -> bool:
        """Take what there is, or wait for it; whether it was the last."""
        kind, environment = self._environment.kind, self._environment
        said = in_use.note(self._directory, kind)
        if said is None:
            return True
        running = environment.running_count() > 0
        if self._outbox.take(kind, environment, _WAIT if running else 0.0):
            self._when_taken()
        elif not running:
            if in_use.forget(self._directory, kind, said):
                return True
            self._stopped.wait(_FIRST)  # a start is under way
        return False

    def _complain(self, error: Exception) -> None:
        """Once for each cause: it is tried again."""
        words = f"events of processes in {self._environment.name} cannot be taken: {error}"
        if words != self._trouble and not self._stopped.is_set():
            logger.warning("%s", words)
        self._trouble = words
