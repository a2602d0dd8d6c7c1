"""A container with its dashboard on, for what only a real supervisor does: start, stop, park, register."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import docker
from docker.errors import DockerException, ImageNotFound

from tests.docker.containers import IMAGE, Box, Docker, homes, mounted, wait_for

PASSWORD = "open sesame"
READ_PASSWORD = "just looking"


class NoImageError(Exception):
    """One sentence: why there is no container to look at."""


@dataclass
class Installation:
    """A booted container and where its dashboard answers."""

    box: Box
    origin: str


@contextmanager
def installed(profiles: dict[str, int], **environment: str) -> Iterator[Installation]:
    """Boot a container whose gateways (profile to port) are all wanted, with its dashboard ready."""
    try:
        client = docker.from_env(timeout=90)
    except DockerException as error:
        raise NoImageError(f"no Docker engine answers: {error}") from error
    engine = Docker(client)
    try:
        try:
            client.images.get(IMAGE)
        except ImageNotFound as error:
            raise NoImageError(f"there is no image {IMAGE}: scripts/build-image makes it") from error
        box = engine.boot(
            environment={
                "HERMES_DASHBOARD": "1",
                "HERMES_DASHBOARD_HOST": "0.0.0.0",
                "HERMES_DASHBOARD_PASSWORD": PASSWORD,
                **environment,
            },
            ports={"9119/tcp": ("127.0.0.1", None)},
            **mounted(engine.volume(homes(profiles))),
        )
        wait_for(lambda: (state := box.slot("dashboard")) and state.ready, 30, "ready dashboard")
        box.raw.reload()
        published = box.raw.ports["9119/tcp"] or []
        yield Installation(box, f"http://127.0.0.1:{published[0]['HostPort']}")
    finally:
        engine.clean()
        client.close()
