"""Checks of gateways installed into an init of a host: as they should be, once, and there at boot."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from hermes_cli.gateway.levels import LEVELS, EitherLevel, Level
from hermes_cli.gateway.naming import command_for
from hermes_cli.gateway.service import gateway_spec, owner_of
from hermes_cli.home import Home
from hermes_cli.service_manager.installed import Difference, differences
from hermes_cli.service_manager.names import service_name
from hermes_cli.service_manager.types import ServiceManager, ServiceSpec

from .model import Check, Result, Scene, problem


def drift(scene: Scene) -> Iterator[Result]:
    """What is installed is what this version would install."""
    for home, level, manager in _installed(scene):
        spec = gateway_spec(home, manager.kind, user=owner_of(home) if level == "system" else None)
        wrong = differences(manager.render(spec))
        if wrong:
            yield _drifted(scene, home, level, manager, spec, wrong)


def twice(scene: Scene) -> Iterator[Result]:
    """No gateway is installed at both levels: a verb could not mean both."""
    found: dict[str, list[Level]] = {}
    for home, level, _ in _installed(scene):
        if level is not None:
            found.setdefault(home.profile, []).append(level)
    for profile, levels in found.items():
        if len(levels) > 1:
            yield problem(
                f"installed-twice {profile}",
                f"the gateway of {profile} is installed for this user and for the whole system",
                f"remove one: '{command_for(profile)} gateway uninstall' here, or with --system as root",
            )


def linger(scene: Scene) -> Iterator[Result]:
    """The services of this user start at boot, and outlive the logout."""
    import pwd

    from hermes_cli.service_manager.linger import linger_enabled

    profiles = [home.profile for home, level, _ in _installed(scene) if level == "user"]
    user = pwd.getpwuid(os.getuid()).pw_name
    if profiles and not linger_enabled(user):
        yield problem(
            "linger",
            f"{user} does not linger: without a login the gateway of {', '.join(profiles)} does not run",
            f"loginctl enable-linger {user}",
            status="warning",
        )


def _installed(scene: Scene) -> Iterator[tuple[Home, Level | None, ServiceManager]]:
    """Every gateway of this home, once for each level that has it."""
    manager = scene.manager
    assert manager is not None
    names = [service_name(home.profile) for home in scene.homes]
    places: list[tuple[Level | None, ServiceManager]] = [(None, manager)]
    if isinstance(manager, EitherLevel):
        places = [(level, manager.at(level)) for level in LEVELS]
    for level, place in places:
        found = place.status_all(names)
        for home, name in zip(scene.homes, names, strict=True):
            if found[name].registered:
                yield home, level, place


def _drifted(
    scene: Scene,
    home: Home,
    level: Level | None,
    manager: ServiceManager,
    spec: ServiceSpec,
    wrong: list[Difference],
) -> Result:
    edited = [one for one in wrong if one.state == "edited"]
    options = f" --system --run-as {spec.user or 'root'}" if level == "system" else ""
    options += " --force" if edited else ""
    how = "was changed by hand" if edited else "is not as this version would install it"
    ours = level != "system" or scene.uid == 0
    return problem(
        f"drift {home.profile}",
        f"the service of {home.profile} {how}: {', '.join(str(one.path) for one in edited or wrong)}",
        f"'{command_for(home.profile)} gateway install{options}' makes it so",
        status="warning",
        # What somebody changed by hand is theirs to give up.
        mend=_install(manager, spec) if ours and not edited else None,
        detail="".join(one.diff for one in wrong),
    )


def _install(manager: ServiceManager, spec: ServiceSpec) -> Callable[[], object]:
    return lambda: manager.install(spec)


def _on_a_host(scene: Scene) -> bool:
    return scene.manager is not None and not scene.has_slots


def _on_systemd(scene: Scene) -> bool:
    return scene.manager is not None and scene.manager.kind == "systemd"


CHECKS = (
    Check("installed-twice", "no gateway is installed twice", twice, _on_a_host),
    Check("drift", "what is installed is what this version installs", drift, _on_a_host),
    Check("linger", "installed gateways start without a login", linger, _on_systemd),
)
