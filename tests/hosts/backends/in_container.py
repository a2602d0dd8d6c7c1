"""What backends in containers share: an agent beside the init, and a new one after a reboot."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hermes_cli.service_manager import ServiceManager, ServiceSpec
from tests.hosts.remote import Agent, RemoteServiceManager

from . import BACKENDS


class LastingAgent(Agent):
    """An agent that comes back: managers made for it go on with the next one."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        super().__init__(command)

    def renew(self) -> None:
        self.close()
        super().__init__(self._command)


class ContainerBackend:
    """A backend whose init is PID 1 of a container. `directory` is there under the same path."""

    agent: LastingAgent
    remote: RemoteServiceManager

    def __init__(self, name: str) -> None:
        self.name = name
        self.traits = BACKENDS[name][1]
        self.directory = Path(tempfile.mkdtemp(prefix=f"hermes-hosts-{name}-"))
        self.directory.chmod(0o777)

    @property
    def manager(self) -> ServiceManager:
        return self.remote

    def another(self) -> ServiceManager:
        """The agent serves each request in a thread of its own, and the library keeps nothing between two."""
        return self.remote

    def differences(self, spec: ServiceSpec) -> list[tuple[str, str]]:
        return [(str(one.path), one.state) for one in self.remote.differences(spec)]

    def alive(self, pid: int) -> bool:
        return bool(self._ask("alive", pid=pid))

    def kill(self, pid: int, signal: str = "KILL") -> None:
        self._ask("kill", pid=pid, signal=signal)

    def exists(self, path: Path) -> bool:
        return bool(self._ask("exists", path=str(path)))

    def append(self, path: Path, text: str) -> None:
        self._ask("append", path=str(path), text=text)

    def close(self) -> None:
        self.agent.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _ask(self, method: str, **arguments: object) -> object:
        answer: object = self.agent.call(method, dict(arguments), {})
        return answer
