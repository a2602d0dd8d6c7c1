"""Checks of the gateways: what was asked for against what runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from hermes_cli.gateway.lock import holder_of
from hermes_cli.status import ServiceReport

from .model import Check, Result, Scene, problem

_DRAIN = 30.0
"""Seconds an orphan may take to end by itself."""


def reality(scene: Scene) -> Iterator[Result]:
    """Every wanted gateway runs, and no other does."""
    if scene.status.volume_held:
        return  # nothing is meant to run here, and that is reported already
    for row in scene.status.services:
        if row.kind == "gateway" and row.profile is not None:
            yield from _gateway(scene, row, row.profile)


def orphans(scene: Scene) -> Iterator[Result]:
    """No gateway holds its home while its slot is down or runs another."""
    rows = {row.profile: row for row in scene.status.services if row.kind == "gateway"}
    for home in scene.homes:
        holder = holder_of(home)
        row = rows.get(home.profile)
        if holder is None or row is None or row.actual == "not answering" or row.pid == holder.pid:
            continue
        if row.pid is not None and row.ready:
            continue  # changed hands between two looks
        yield problem(
            f"orphans {home.profile}",
            f"a gateway of {home.profile} runs as pid {holder.pid}, and nothing supervises it",
            f"kill {holder.pid}",
            mend=partial(holder.end, grace=_DRAIN),
        )


def _gateway(scene: Scene, row: ServiceReport, profile: str) -> Iterator[Result]:
    check = f"gateways {profile}"
    command = "hermes" if profile == "default" else f"hermes -p {profile}"
    if row.actual == "not answering":
        remedy = "restart the container" if scene.has_slots else "see the cause and try again"
        yield problem(check, f"the supervisor of {profile} does not answer: {row.message}", remedy)
    elif row.wanted == "up" and row.actual == "not registered" and not scene.has_slots:
        yield problem(
            check,
            f"the gateway of {profile} is meant to run, and is not installed",
            f"'{command} gateway install', then '{command} gateway start'",
            status="warning",
        )
    elif row.wanted == "up" and row.actual == "parked":
        yield problem(
            check,
            f"the gateway of {profile} is parked: {row.parked_reason or row.last_exit or 'its log says why'}",
            f"mend the cause ('{command} gateway logs'), then '{command} gateway start'",
        )
    elif row.wanted == "up" and row.actual == "backing off":
        yield problem(
            check,
            f"the gateway of {profile} keeps ending ({row.last_exit or 'how is unknown'}) and is backing off",
            f"'{command} gateway logs' shows its last words",
            status="warning",
        )
    elif row.wanted == "up" and row.actual == "down":
        can_start = scene.manager is not None
        yield problem(
            check,
            f"the gateway of {profile} is meant to run, and is down",
            f"{command} gateway start" if can_start else f"{command} gateway run",
            mend=_lifecycle(scene, "start", profile) if can_start else None,
        )
    elif row.wanted == "down" and row.pid is not None and row.actual in ("ready", "starting", "degraded"):
        yield problem(
            check,
            f"the gateway of {profile} is meant to be down, and runs as pid {row.pid}",
            f"{command} gateway stop",
            status="warning",
            mend=_lifecycle(scene, "stop", profile) if scene.manager is not None else None,
        )


def _lifecycle(scene: Scene, verb: str, profile: str) -> Callable[[], object]:
    def mend() -> None:
        from hermes_cli.gateway.lifecycle import Lifecycle

        assert scene.manager is not None
        lifecycle = Lifecycle(scene.manager, scene.root)
        getattr(lifecycle, verb)(profile)

    return mend


CHECKS = (
    Check("orphans", "no gateway runs unsupervised", orphans, lambda scene: scene.manager is not None),
    Check("gateways", "every gateway is as it is meant to be", reality),
)
