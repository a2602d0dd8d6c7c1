"""Checks of what is kept of runs: the store is whole, of a version we know, and its runs are followed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hermes_cli.home import Home

from .model import Check, Result, Scene, problem

if TYPE_CHECKING:
    from hermes_cli.runs.store import Store

_SILENCE = 90.0
"""Seconds without a word of a gateway that has runs: it says one every fifteen."""

_SHOWN = 20


def stores(scene: Scene) -> Iterator[Result]:
    """Each profile's store of runs can be opened, and is as it was written."""
    if scene.status.volume_held:
        return  # its gateway may be writing to it in the other container
    for home in scene.homes:
        if not home.state_db.exists():
            continue
        problems = _damage(home)
        if problems:
            yield problem(
                f"runs {home.profile}",
                f"{home.state_db} is not whole: {problems[0]}",
                f"stop the gateway of {home.profile}, keep a copy of {home.state_db}, and put back that of "
                "your last backup; without one move it away, and the next start makes a new one",
                detail="\n".join(problems[:_SHOWN]),
            )


def followed(scene: Scene) -> Iterator[Result]:
    """A gateway that has runs follows them."""
    if scene.status.volume_held:
        return
    for home in scene.homes:
        silence = _silence(home) if home.state_db.exists() else None
        if silence is not None:
            yield problem(
                f"runs-followed {home.profile}",
                f"the gateway of {home.profile} has runs, and has said nothing of them for {silence:.0f} s",
                f"'hermes -p {home.profile} gateway restart'; the runs themselves go on",
                status="warning",
            )


def _damage(home: Home) -> list[str]:
    import apsw

    from hermes_cli.runs.errors import StoreError
    from hermes_cli.runs.schema import VERSION
    from hermes_cli.runs.store import Store, open_connection

    try:
        connection = open_connection(home.state_db, read_only=True)
    except StoreError as error:
        return [str(error)]
    try:
        version = connection.pragma("user_version")
        if version > VERSION:
            return [f"it is of version {version}, and this Hermes knows up to {VERSION}"]
        # One of an earlier version becomes this one's with the gateway's next start.
        return Store(connection).check() if version == VERSION else []
    except apsw.Error as error:
        return [str(error)]
    finally:
        connection.close()


def _silence(home: Home) -> float | None:
    """Seconds since the gateway that has active runs said anything of them; None where all is well."""
    import apsw

    from hermes_cli.runs.errors import StoreError
    from hermes_cli.runs.lease import holder_lives
    from hermes_cli.runs.store import Store, open_connection

    try:
        connection = open_connection(home.state_db, read_only=True)
    except StoreError:
        return None  # said by the other check
    try:
        store = Store(connection)
        lease = store.lease()
        silence = time.time() - lease.beat_at if lease is not None else 0.0
        if lease is None or silence < _SILENCE or not holder_lives(lease.holder):
            return None
        return silence if _active(store) else None
    except (apsw.Error, StoreError):
        return None
    finally:
        connection.close()


def _active(store: Store) -> bool:
    return any(run.status != "queued" for run in store.open_runs())


CHECKS = (
    Check("runs", "the store of runs is whole", stores),
    Check("runs-followed", "every run is followed by its gateway", followed),
)
