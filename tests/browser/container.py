"""A container with its dashboard on, for what only a real supervisor does: start, stop, park, register."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import docker
from docker.errors import DockerException, ImageNotFound

from tests.docker.containers import HERMES_UID, IMAGE, Box, Docker, homes, mounted, wait_for

PASSWORD = "open sesame"


class NoImageError(Exception):
    """One sentence: why there is no container to look at."""


@dataclass
class Installation:
    """A booted container and where its dashboard answers."""

    box: Box
    origin: str


def history(profiles: Iterable[str]) -> str:
    """Shell that leaves a supervision log of the last day: each gateway up, some crashed and came back."""
    lines = []
    for number, profile in enumerate(profiles):
        for hours, event, more in (
            (22 - 3 * number, "ready", {}),
            (9 + number, "crashed", {"signal": "SIGSEGV"}),
            (8.9 + number, "ready", {}),
            (5 - number, "draining", {}),
            (4.9 - number, "exited", {"code": 0}),
            (3 - number / 2, "ready", {}),
        ):
            moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - hours * 3600))
            lines.append(json.dumps({"ts": moment, "profile": profile, "event": event, **more}))
    text = "\n".join(sorted(lines))
    write = f"mkdir -p logs && cat >logs/supervision.jsonl <<'END'\n{text}\nEND\n"
    return f"{write}chown -R {HERMES_UID}:{HERMES_UID} logs\n"


@contextmanager
def installed(profiles: dict[str, int], **environment: str) -> Iterator[Installation]:
    """Boot a container whose gateways (profile to port) are all wanted, with its dashboard ready.

    It has the history of a day.
    """
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
            **mounted(engine.volume(homes(profiles) + history(profiles))),
        )
        wait_for(lambda: (state := box.slot("dashboard")) and state.ready, 30, "ready dashboard")
        box.raw.reload()
        published = box.raw.ports["9119/tcp"] or []
        yield Installation(box, f"http://127.0.0.1:{published[0]['HostPort']}")
    finally:
        engine.clean()
        client.close()
