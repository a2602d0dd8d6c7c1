"""The containers of a run: made with a label of this run, and removed with it whatever happens."""

from __future__ import annotations

import io
import os
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import docker
import docker.errors
from docker.models.containers import Container

from .model import BenchError

LABEL = "ai.hermes.bench"
POLL = 0.05
"""Seconds between two looks at a condition. Never part of a figure: those are stamped where they happen."""


class Engine:
    """A Docker engine, and everything this run has made on it."""

    def __init__(self) -> None:
        self.run_id = f"{os.getpid()}-{time.time_ns():x}"
        try:
            self.client = docker.from_env(timeout=180)
            self.version = str(self.client.version()["Version"])
        except docker.errors.DockerException as error:
            raise BenchError(f"no Docker engine answers: {error}") from error

    @property
    def labels(self) -> dict[str, str]:
        return {LABEL: self.run_id}

    @property
    def _mine(self) -> dict[str, str | list[str] | bool]:
        return {"label": f"{LABEL}={self.run_id}"}

    def image(self, name: str) -> dict[str, Any]:
        """What `docker image inspect` says of it."""
        try:
            attributes: dict[str, Any] = self.client.images.get(name).attrs
        except docker.errors.ImageNotFound:
            raise BenchError(f"there is no image {name}: 'make image' builds it") from None
        return attributes

    @contextmanager
    def container(
        self,
        image: str,
        command: Sequence[str] | None = None,
        *,
        entrypoint: Sequence[str] | None = None,
        volume: str | None = None,
        start: bool = True,
        options: Mapping[str, Any] | None = None,
    ) -> Iterator[Container]:
        """A container for the time of the block, started unless told otherwise. `options` are the SDK's."""
        container = self.client.containers.create(
            image,
            list(command) if command is not None else None,
            entrypoint=list(entrypoint) if entrypoint is not None else None,
            volumes={volume: {"bind": "/opt/data", "mode": "rw"}} if volume else None,
            labels=self.labels,
            **(options or {}),
        )
        try:
            if start:
                container.start()
            yield container
        finally:
            container.remove(force=True, v=True)

    @contextmanager
    def volume(self) -> Iterator[str]:
        """The name of a volume that lasts as long as the block."""
        volume = self.client.volumes.create(labels=self.labels)
        try:
            yield str(volume.name)
        finally:
            volume.remove(force=True)

    def run(self, container: Container, argv: Sequence[str], *, user: str = "") -> str:
        """The output of `argv` in a running container; raises with what it said where it fails."""
        code, output = container.exec_run(list(argv), user=user, demux=True)
        out, err = (part or b"" for part in cast("tuple[bytes | None, bytes | None]", output))
        if code != 0:
            said = (err + out).decode(errors="replace").strip()
            raise BenchError(f"{' '.join(argv)[:80]!r} failed with {code} in the container: {said[-600:]}")
        return out.decode()

    def wait(self, container: Container, script: str, what: str, *, seconds: float = 60.0) -> None:
        """Return when the shell `script` succeeds in the container; raise after `seconds` with `what`."""
        deadline = time.monotonic() + seconds
        while True:
            code, output = container.exec_run(["sh", "-c", script])
            if code == 0:
                return
            if time.monotonic() > deadline:
                last = cast(bytes, output).decode(errors="replace").strip()
                raise BenchError(f"after {seconds:g} s still not: {what} ({last or f'exit {code}'})")
            time.sleep(POLL)

    def put(self, container: Container, files: Mapping[str, tuple[str, int]]) -> None:
        """Write files, path → text and mode, into a container."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for path, (text, mode) in files.items():
                entry = tarfile.TarInfo(path.lstrip("/"))
                entry.size, entry.mode = len(text.encode()), mode
                archive.addfile(entry, io.BytesIO(text.encode()))
        if not container.put_archive("/", buffer.getvalue()):
            raise BenchError(f"could not write {', '.join(files)} in the container")

    def clean_containers(self) -> None:
        """Remove this run's containers, with the volumes that came with them."""
        for container in self.client.containers.list(all=True, filters=self._mine):
            container.remove(force=True, v=True)

    def clean(self) -> None:
        """Remove what is left of this run, by its label."""
        self.clean_containers()
        mine = self._mine
        for volume in self.client.volumes.list(filters=mine):
            volume.remove(force=True)
        for image in self.client.images.list(filters=mine):
            self.client.images.remove(str(image.id), force=True)
