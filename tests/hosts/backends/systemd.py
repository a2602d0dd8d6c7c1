"""Real systemd as PID 1 of a container: the system's services, or those of a user who lingers."""

from __future__ import annotations

from typing import Any

from hermes_cli.service_manager import ServiceSpec
from tests.hosts.remote import RemoteServiceManager
from tests.hosts.systemd.container import SystemdContainer

from . import POLICY, PROGRAM, START_TIMEOUT, STOP_TIMEOUT, place_of
from .in_container import ContainerBackend, LastingAgent

USERS = {"systemd-user": "alice", "systemd-system": "root"}


class SystemdBackend(ContainerBackend):
    """One container for all the tests of one level."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        level = name.removeprefix("systemd-")
        self.container = SystemdContainer(self.directory)
        self.agent = LastingAgent(self.container.agent_command(USERS[name]))
        self.remote = RemoteServiceManager(self.agent, kind="systemd", level=level)

    def spec(self, name: str, *arguments: str, **fields: Any) -> ServiceSpec:
        command = ("/usr/bin/python3", str(PROGRAM), str(self.directory / place_of(name)), *arguments)
        given: dict[str, Any] = {
            "start_timeout": START_TIMEOUT,
            "stop_timeout": STOP_TIMEOUT,
            "restart": POLICY,
        }
        return ServiceSpec(name, command, **given | fields)

    def intend(self, name: str, *, running: bool) -> None:
        """systemd keeps what is to run by itself."""

    def reboot(self) -> None:
        self.container.reboot()
        self.agent.renew()

    def close(self) -> None:
        super().close()
        self.container.close()


def make(name: str) -> SystemdBackend:
    return SystemdBackend(name)
