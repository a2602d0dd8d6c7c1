"""Which environment a profile's configuration means."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hermes_cli.home import Home
from hermes_cli.processes.ending import SANDBOX_IDENTITY, used_sandboxes
from hermes_cli.processes.errors import (
    EnvironmentNotConfiguredError,
    EnvironmentUnusableError,
    ProcessError,
)
from hermes_cli.processes.in_use import using
from hermes_cli.processes.profile import registry_of, secrets_of

from .interface import Environment, Kind

if TYPE_CHECKING:
    from hermes_cli.config import DockerConfig, SshConfig

_CONTAINER = ".sandbox-container"
"""There where a container may have been made for the profile."""


def open_environment(home: Home, name: Kind | None = None) -> Environment:
    """Where the processes of the profile run: as `terminal.environment` says, or `name` instead.

    Nothing is connected yet. Raises `ConfigError`, and `EnvironmentNotConfiguredError` where the
    configuration does not say which container or host.
    """
    if name == "local":
        return _local(home)
    from hermes_cli.config import load_config

    terminal = load_config(home).terminal
    kind = name or terminal.environment
    if kind == "local":
        return _local(home)
    return _docker(home, terminal.docker) if kind == "docker" else _ssh(home, terminal.ssh)


@dataclass(frozen=True)
class SandboxIdentity:
    """What a profile is in its sandboxes, from its first use on, whatever it is called later."""

    name: str
    """Of its directory and its container there. Another's profile may be called the same."""
    key: bytes
    """Never leaves this machine."""


def sandbox_identity(home: Home) -> SandboxIdentity:
    """The profile's, made when it is first asked for. Raises OSError."""
    path = home.processes / SANDBOX_IDENTITY
    if not path.exists():
        home.processes.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f"{SANDBOX_IDENTITY}.{os.urandom(4).hex()}")
        temporary.touch(mode=0o600)
        temporary.write_text(f"{home.profile[:40]}-{os.urandom(4).hex()} {os.urandom(32).hex()}\n")
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)  # whoever is first decides
        temporary.unlink()
    name, key = path.read_text().split()
    return SandboxIdentity(name, bytes.fromhex(key))


def end_in_sandbox(home: Home, *, grace: float = 5.0) -> int:
    """End the profile's processes in the sandbox that its configuration names; how many were ended.

    Raises `EnvironmentUnusableError`, and `ProcessError` where one did not end.
    """
    from hermes_cli.config import ConfigError

    if not used_sandboxes(home.processes):
        return 0
    try:
        environment = open_environment(home)
    except ConfigError:
        return 0  # nobody knows where they would be
    if environment.kind == "local":
        return 0
    try:
        found = environment.kill_all(grace)
    except EnvironmentUnusableError as error:
        raise EnvironmentUnusableError(
            f"whether background processes run there is not known: {error}. With terminal.environment set to "
            "local they are left to themselves",
            cause=error.cause,
        ) from error
    finally:
        environment.disconnect()
    left = [one for one in found if one.status == "error"]
    if left:
        raise ProcessError(f"{len(left)} background processes in {environment.name} did not end")
    return sum(one.status == "killed" for one in found)


def discard_sandboxes(home: Home) -> int:
    """For the end of a profile: remove the container made for it, end what runs in others; how many were
    removed.

    Where no container was made, no engine is asked. Raises what `end_in_sandbox` raises.
    """
    mark = home.processes / _CONTAINER
    if not mark.exists():
        end_in_sandbox(home)
        return 0
    from .docker import remove_containers

    removed = remove_containers(sandbox_identity(home).name)
    mark.unlink(missing_ok=True)
    return removed


def _local(home: Home) -> Environment:
    from .local import LocalEnvironment

    return registry_of(home, LocalEnvironment)


def _docker(home: Home, config: DockerConfig) -> Environment:
    from .docker import DockerTarget, DockerTransport
    from .remote import RemoteEnvironment

    if not config.container and not config.image:
        raise EnvironmentNotConfiguredError(
            f"the environment is docker, but {home.config} names no container; set terminal.docker.container "
            "to one that runs, or terminal.docker.image to make one from"
        )
    identity = sandbox_identity(home)
    if not config.container:
        (home.processes / _CONTAINER).touch()
    target = DockerTarget(
        profile=identity.name,
        container=config.container or None,
        image=None if config.container else config.image,
        workdir=config.workdir or None,
        memory=config.memory or None,
        cpus=config.cpus or None,
    )
    return RemoteEnvironment(
        target.name,
        "docker",
        lambda: DockerTransport(target),
        profile=target.profile,
        workdir=target.workdir,
        secrets=secrets_of(home).values,
        key=identity.key,
        using=lambda: using(home.processes, "docker"),
    )


def _ssh(home: Home, config: SshConfig) -> Environment:
    from .remote import RemoteEnvironment
    from .ssh import SshTarget, SshTransport

    if not config.host:
        raise EnvironmentNotConfiguredError(
            f"the environment is ssh, but {home.config} names no host; set terminal.ssh.host"
        )
    target = SshTarget(
        config.host,
        user=config.user or None,
        port=config.port or None,
        identity_file=config.identity_file or None,
        control_directory=os.fspath(home.run_dir / "ssh"),
    )
    identity = sandbox_identity(home)
    return RemoteEnvironment(
        target.name,
        "ssh",
        lambda: SshTransport(target),
        profile=identity.name,
        workdir=config.workdir or None,
        secrets=secrets_of(home).values,
        key=identity.key,
        using=lambda: using(home.processes, "ssh"),
    )
