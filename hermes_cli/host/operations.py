"""Up, down and upgrade: what happens to the container, in which order, and what is undone on failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from .errors import DifferentSettingsError, HostError, ImageMissingError, NoContainerError, NotHealthyError
from .health import DEADLINE, Progress, Report, look, wait_healthy
from .settings import DEFAULT_NAME, LOCAL_IMAGE, Request, Settings, differences

if TYPE_CHECKING:
    from docker.models.containers import Container

    from .engine import Engine

Outcome = Literal["created", "started", "running", "recreated", "upgraded", "current"]


class UpResult(msgspec.Struct, kw_only=True):
    """What `up` and `upgrade` did. `urls` are those of the wanted services, by name."""

    version: int = 1
    outcome: Outcome
    name: str
    container: str
    image: str
    volume: str
    ports: list[int]
    address: str
    urls: dict[str, str]
    newer_image: bool = False
    """The image's name now means another image than the container's."""


class DownResult(msgspec.Struct, kw_only=True):
    """What `down` did."""

    version: int = 1
    name: str
    removed: bool
    volume: str | None
    volume_removed: bool = False


def up(
    engine: Engine,
    request: Request,
    progress: Progress,
    *,
    name: str = DEFAULT_NAME,
    recreate: bool = False,
    deadline: float = DEADLINE,
) -> UpResult:
    """Have the container running and healthy, made anew only where there is none, or `recreate` says so."""
    _finish_interrupted_upgrade(engine, name, progress)
    container = engine.find(name)
    if container is None:
        image = request.image or LOCAL_IMAGE
        _require_image(engine, image, progress)
        settings = request.new(image)
        progress(f"creating the container {name} from {image}, volume {settings.volume}")
        container = engine.create(name, settings)
        try:
            engine.start(container)
        except HostError:
            engine.remove(container, force=True)
            raise
        return _result(engine, container, "created", _wait_or_stop(engine, container, progress, deadline))
    existing = engine.settings(container)
    wanted = request.applied_to(existing)
    different = differences(existing, wanted)
    if recreate:
        _require_image(engine, wanted.image, progress)
        return _replace(engine, container, wanted, progress, "recreated", deadline)
    if different:
        raise DifferentSettingsError(name, different)
    running = container.status == "running"
    if not running:
        progress(f"starting the container {name}")
        engine.start(container)
    report = wait_healthy(engine, container, progress, deadline=deadline)
    return _result(engine, container, "running" if running else "started", report)


def down(engine: Engine, progress: Progress, *, name: str = DEFAULT_NAME, volume: bool = False) -> DownResult:
    """Stop and remove the container; none is fine. The named volume goes only if `volume` says so."""
    _finish_interrupted_upgrade(engine, name, progress)
    container = engine.find(name)
    if container is None:
        return DownResult(name=name, removed=False, volume=None)
    source = engine.settings(container).volume
    if volume and source.startswith("/"):
        raise HostError(f"the data is in {source}, a directory of this machine: remove it yourself")
    progress(f"stopping the container {name}")
    engine.stop(container)
    engine.remove(container)
    removed = bool(volume and source and engine.remove_volume(source))
    return DownResult(name=name, removed=True, volume=source or None, volume_removed=removed)


def upgrade(
    engine: Engine,
    progress: Progress,
    *,
    name: str = DEFAULT_NAME,
    image: str | None = None,
    deadline: float = DEADLINE,
) -> UpResult:
    """Replace the container by one of the newest image of its name, or of `image`, with the same settings.

    The old container is kept until the new one is healthy, and comes back if that does not happen.
    """
    _finish_interrupted_upgrade(engine, name, progress)
    container = engine.find(name)
    if container is None:
        raise NoContainerError(name)
    settings = Request(image=image).applied_to(engine.settings(container))
    newest = _newest(engine, settings.image, progress)
    if newest == container.attrs["Image"]:
        if container.status != "running":
            engine.start(container)
        report = wait_healthy(engine, container, progress, deadline=deadline)
        return _result(engine, container, "current", report)
    return _replace(engine, container, settings, progress, "upgraded", deadline)


def _replace(
    engine: Engine,
    old: Container,
    settings: Settings,
    progress: Progress,
    outcome: Outcome,
    deadline: float,
) -> UpResult:
    """A new container in the place of `old`, which is put back if the new one is no good."""
    name = str(old.name)
    was_running = old.status == "running"
    before = look(engine, old)[0] if was_running else None
    accepted = frozenset(before.problems) if before is not None else frozenset()
    progress(f"stopping the container {name}")
    engine.stop(old)
    engine.rename(old, _kept_name(name))
    new = None
    try:
        progress(f"creating the container {name} from {settings.image}")
        new = engine.create(name, settings)
        engine.start(new)
        report = wait_healthy(engine, new, progress, accepted=accepted, deadline=deadline)
    except BaseException as error:
        progress("that did not work; the container from before is put back")
        if new is not None:
            engine.remove(new, force=True)
        engine.rename(old, name)
        if was_running:
            engine.start(old)
        if isinstance(error, NotHealthyError):
            raise NotHealthyError(
                name, error.cause, error.log, then="; the container from before is back"
            ) from None
        raise
    engine.remove(old)
    return _result(engine, new, outcome, report)


def _finish_interrupted_upgrade(engine: Engine, name: str, progress: Progress) -> None:
    """Put the container of before an upgrade back, or away, if something ended the upgrade halfway."""
    kept = engine.find(_kept_name(name))
    if kept is None:
        return
    new = engine.find(name)
    report = look(engine, new)[0] if new is not None and new.status == "running" else None
    if report is not None and report.booted and report.healthy:
        progress("finishing an interrupted upgrade: the new container is healthy, the old one is removed")
        engine.remove(kept, force=True)
        return
    progress("undoing an interrupted upgrade: the container from before is put back")
    if new is not None:
        engine.stop(new)
        engine.remove(new)
    engine.rename(kept, name)


def _kept_name(name: str) -> str:
    return f"{name}-before-upgrade"


def _require_image(engine: Engine, image: str, progress: Progress) -> None:
    if engine.image_id(image) is None:
        _pull(engine, image, progress)


def _newest(engine: Engine, image: str, progress: Progress) -> str:
    """The id of what a registry has below that name now; of what is here where none can be asked."""
    local = engine.image_id(image)
    if local is not None and _is_local(image):
        return local
    try:
        return _pull(engine, image, progress)
    except ImageMissingError as error:
        if local is None:
            raise
        progress(f"using the {image} that is here: {error}")
        return local


def _pull(engine: Engine, image: str, progress: Progress) -> str:
    if _is_local(image):
        raise ImageMissingError(image, "images of such names are built on the machine")
    progress(f"pulling {image}")
    return engine.pull(image)


def _is_local(image: str) -> bool:
    """Whether the name says no registry. Docker's hub would be asked, where anybody may have such a name."""
    return "/" not in image


def _wait_or_stop(engine: Engine, container: Container, progress: Progress, deadline: float) -> Report:
    """A container that ended at once would be restarted for ever: it is stopped, and kept to be looked at."""
    try:
        return wait_healthy(engine, container, progress, deadline=deadline)
    except NotHealthyError:
        engine.reload(container)
        if container.attrs["RestartCount"] or container.status != "running":
            engine.stop(container)
        raise


def _result(engine: Engine, container: Container, outcome: Outcome, report: Report) -> UpResult:
    engine.reload(container)
    settings = engine.settings(container)
    return UpResult(
        outcome=outcome,
        name=str(container.name),
        container=str(container.short_id),
        image=settings.image,
        volume=settings.volume,
        ports=list(settings.ports),
        address=settings.address,
        urls=report.urls,
        newer_image=engine.image_id(settings.image) not in (None, container.attrs["Image"]),
    )
