"""Which environment a profile's configuration means."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from hermes_cli.home import Home
from hermes_cli.processes.errors import EnvironmentUnusableError
from hermes_cli.processes.profile import registry_of, secrets_of

from .interface import Environment, Kind

if TYPE_CHECKING:
    from hermes_cli.config import DockerConfig, SshConfig

_ID = ".sandbox-id"


def open_environment(home: Home, name: Kind | None = None) -> Environment:
    """Where the processes of the profile run: as `terminal.environment` says, or `name` instead.

    Nothing is connected yet. Raises `ConfigError`, and `EnvironmentUnusableError` where the configuration
    does not say which container or host.
    """
    from hermes_cli.config import load_config

    terminal = load_config(home).terminal
    kind = name or terminal.environment
    if kind == "local":
        from .local import LocalEnvironment

        return registry_of(home, LocalEnvironment)
    return _docker(home, terminal.docker) if kind == "docker" else _ssh(home, terminal.ssh)


def sandbox_name(home: Home) -> str:
    """The profile's directory in a sandbox, which others may use whose profile has the same name."""
    path = home.processes / _ID
    try:
        found = path.read_text().strip()
    except FileNotFoundError:
        home.processes.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f"{_ID}.{os.urandom(4).hex()}")
        temporary.write_text(os.urandom(4).hex() + "\n")
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)  # whoever is first decides
        temporary.unlink()
        found = path.read_text().strip()
    return f"{home.profile}-{found}"


def discard_sandboxes(home: Home) -> int:
    """Remove the containers made for the profile, with all that runs in them; how many.

    For the end of a profile. Where no container can have been made, no engine is asked. Raises
    `EnvironmentUnusableError`.
    """
    if not (home.processes / _ID).exists():
        return 0
    from .docker import remove_containers

    return remove_containers(sandbox_name(home))


def _docker(home: Home, config: DockerConfig) -> Environment:
    from .docker import DockerTarget, DockerTransport
    from .remote import RemoteEnvironment

    if not config.container and not config.image:
        raise EnvironmentUnusableError(
            f"the environment is docker, but {home.config} names no container; set terminal.docker.container "
            "to one that runs, or terminal.docker.image to make one from",
            cause="not_configured",
        )
    target = DockerTarget(
        profile=sandbox_name(home),
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
    )


def _ssh(home: Home, config: SshConfig) -> Environment:
    from .remote import RemoteEnvironment
    from .ssh import SshTarget, SshTransport

    if not config.host:
        raise EnvironmentUnusableError(
            f"the environment is ssh, but {home.config} names no host; set terminal.ssh.host",
            cause="not_configured",
        )
    target = SshTarget(
        config.host,
        user=config.user or None,
        port=config.port or None,
        identity_file=config.identity_file or None,
        control_directory=os.fspath(home.run_dir / "ssh"),
    )
    return RemoteEnvironment(
        target.name,
        "ssh",
        lambda: SshTransport(target),
        profile=sandbox_name(home),
        workdir=config.workdir or None,
        secrets=secrets_of(home).values,
    )
