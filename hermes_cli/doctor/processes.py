"""Checks of the background processes: what is kept of them, and what is left of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from hermes_cli.home import Home, HomeError
from hermes_cli.processes.ending import process_names

from .model import Check, Finding, Result, Scene, problem


def kept(scene: Scene) -> Iterator[Result]:
    """Every process's directory can be read, and says how its process is."""
    if scene.status.volume_held:
        return  # their keepers may live in the other container
    from hermes_cli.processes.census import set_aside, take_census

    for home in scene.homes:
        if not _any_entries(home):
            continue
        census = take_census(home.processes)
        for name, why in census.broken.items():
            path = home.processes / name
            yield problem(
                f"processes {name}",
                f"{path} {why}: what it was is unknown",
                f"mv {path} {path}.broken",
                mend=partial(set_aside, path),
            )
        if census.unsettled:
            yield problem(
                f"processes lost {home.profile}",
                f"{len(census.unsettled)} processes of {home.profile} were lost with their keepers: "
                f"{', '.join(census.unsettled[:3])}",
                "'hermes process list' writes down what became of them",
                status="warning",
                mend=_settle(home),
            )
        if census.removed:
            yield problem(
                f"processes removed {home.profile}",
                f"{len(census.removed)} removals in {home.processes} were cut off",
                "the next start of a process goes on with them",
                status="warning",
                mend=_settle(home),
            )
        if census.running:
            plural = "process runs" if census.running == 1 else "processes run"
            message = f"{census.running} background {plural} in {home.profile}"
            yield Result(Finding(id=f"processes {home.profile}", status="ok", message=message))


def leftovers(scene: Scene) -> Iterator[Result]:
    """No command, and nothing that one started, outlives its keeper."""
    if scene.status.volume_held or not any(process_names(home.processes) for home in scene.homes):
        return
    from hermes_cli.processes.census import marked_processes, take_census

    marked = marked_processes()
    for home in scene.homes:
        alive = take_census(home.processes).alive
        for name in process_names(home.processes):
            pids = marked.get(name)
            if pids and name not in alive:
                yield problem(
                    f"process-leftovers {name}",
                    f"{name} of {home.profile} has no keeper any more, and left running: "
                    f"{', '.join(map(str, pids[:5]))}",
                    f"kill -9 {' '.join(map(str, pids[:5]))}",
                    status="warning",
                    mend=_end(home.processes / name, name),
                )


def _any_entries(home: Home) -> bool:
    try:
        return any(home.processes.iterdir())
    except OSError:
        return False


def _settle(home: Home) -> Callable[[], object]:
    def mend() -> None:
        from hermes_cli.processes.errors import ProcessError
        from hermes_cli.processes.registry import Registry

        registry = Registry(home.processes)
        registry.running_count()
        try:
            registry.clean()
        except ProcessError as error:
            raise HomeError(str(error)) from error

    return mend


def _end(directory: Path, name: str) -> Callable[[], object]:
    def mend() -> None:
        from hermes_cli.processes.liveness import end_leftovers
        from hermes_cli.processes.records import read_status

        status = read_status(directory)
        if status is not None:
            end_leftovers(name, status)

    return mend


CHECKS = (
    Check("processes", "every background process can be read", kept),
    Check("process-leftovers", "no background process outlives its keeper", leftovers),
)
