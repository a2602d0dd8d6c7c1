"""`hermes up`, `down` and `upgrade` against a real engine: the image, and stand-ins that fail on demand."""

from __future__ import annotations

import contextlib
import io
import json
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.images import Image

from tests.docker.containers import IMAGE

pytestmark = pytest.mark.timeout(180)

# A container that does nothing, and whose `hermes status --json` says what $REPORT holds.
STAND_IN = """\
FROM {base}
RUN printf '#!/bin/sh\\nprintf "%%s" "$REPORT"\\n' > /usr/local/bin/hermes && chmod 755 /usr/local/bin/hermes
ENV REPORT='{report}'
LABEL stand-in={label}
HEALTHCHECK NONE
ENTRYPOINT ["sh", "-c"]
CMD ["{command}"]
"""
SERVES = "trap 'exit 0' TERM; echo serving; sleep 600 & wait"


def report(*problems: str, actual: str = "starting") -> str:
    services = [{"service": "main-hermes", "kind": "main", "actual": "ready"}]
    services += [{"service": "gateway-a", "actual": actual, "problem": problem} for problem in problems]
    return json.dumps(
        {"healthy": not problems, "problems": problems, "supervisor": "s6", "services": services}
    )


class Host:
    """Calls the command line for one container of its own, and removes what is left of it."""

    def __init__(self, engine: docker.DockerClient) -> None:
        self.engine = engine
        self.name = f"hermes-up-{secrets.token_hex(4)}"
        self.volume = f"{self.name}-data"
        self.images: list[str] = []

    def run(self, command: str, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "hermes_cli.cli.main", command, "--name", self.name, *arguments],
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done

    def up(self, *arguments: str, expect: int = 0) -> Any:
        """`hermes up` on this host's volume; its JSON where it succeeds, else what it said."""
        done = self.run("up", "--volume", self.volume, "--json", *arguments, expect=expect)
        return json.loads(done.stdout) if expect == 0 else done.stderr

    def inspect(self) -> dict[str, Any]:
        container = self.engine.containers.get(self.name)
        attributes: dict[str, Any] = container.attrs
        return attributes

    def image(self, tag: str, *, reports: str, command: str = SERVES) -> Image:
        """Build a stand-in below the name that only this host uses."""
        recipe = STAND_IN.format(base=IMAGE, report=reports, command=command, label=secrets.token_hex(4))
        built, _ = self.engine.images.build(
            fileobj=io.BytesIO(recipe.encode()), tag=tag, rm=True, forcerm=True
        )
        self.images.append(str(built.id))
        return built

    @property
    def tag(self) -> str:
        return f"{self.name}:test"

    def names(self) -> set[str]:
        # Other tests' containers come and go meanwhile.
        found = self.engine.containers.list(all=True, filters={"name": self.name}, ignore_removed=True)
        return {str(one.name) for one in found}

    def clean(self) -> None:
        for name in self.names():
            self.engine.containers.get(name).remove(force=True)
        with contextlib.suppress(docker.errors.NotFound):
            self.engine.volumes.get(self.volume).remove(force=True)
        for image in self.images:
            with contextlib.suppress(docker.errors.APIError):
                self.engine.images.remove(image, force=True)


@pytest.fixture
def host(client: docker.DockerClient) -> Iterator[Host]:
    one = Host(client)
    try:
        yield one
    finally:
        one.clean()


@pytest.fixture
def free_port() -> Callable[[], int]:
    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    return find


def test_up_brings_the_real_image_to_health_and_down_keeps_its_volume(
    host: Host, free_port: Callable[[], int]
) -> None:
    port = free_port()
    made = host.up("--ports", str(port))
    assert made["outcome"] == "created"
    assert made["ports"] == [port]
    attributes = host.inspect()
    assert attributes["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    assert attributes["HostConfig"]["PortBindings"] == {
        f"{port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]
    }
    status = subprocess.run(
        ["docker", "exec", host.name, "hermes", "status", "--json"], capture_output=True, check=True
    )
    assert json.loads(status.stdout)["supervisor"] == "s6"

    again = host.up()
    assert again["outcome"] == "running"
    assert again["container"] == made["container"]

    host.run("down")
    assert host.names() == set()
    assert host.engine.volumes.get(host.volume)


def test_a_profile_made_before_down_is_there_after_up(host: Host) -> None:
    host.up("--ports", "none")
    create = ["docker", "exec", host.name, "hermes", "profile", "create", "keeper"]
    subprocess.run(create, check=True, capture_output=True)
    host.run("down")
    host.up("--ports", "none")
    listed = subprocess.run(
        ["docker", "exec", host.name, "hermes", "status", "--json"], capture_output=True, check=True
    )
    profiles = {service.get("profile") for service in json.loads(listed.stdout)["services"]}
    assert "keeper" in profiles


def test_up_starts_a_stopped_container_and_says_so(host: Host) -> None:
    host.image(host.tag, reports=report())
    made = host.up("--image", host.tag, "--ports", "none")
    host.engine.containers.get(host.name).stop(timeout=5)
    again = host.up()
    assert again["outcome"] == "started"
    assert again["container"] == made["container"]


def test_other_settings_are_named_and_recreate_applies_them_and_keeps_the_rest(
    host: Host, free_port: Callable[[], int]
) -> None:
    host.image(host.tag, reports=report())
    first, second = free_port(), free_port()
    made = host.up("--image", host.tag, "--ports", str(first), "--env", "COLOUR=red")
    said = host.up("--ports", str(second), expect=1)
    assert f"ports {first}, not {second}" in said
    assert "--recreate" in said
    assert host.inspect()["Id"].startswith(made["container"])

    again = host.up("--ports", str(second), "--recreate")
    assert again["outcome"] == "recreated"
    assert again["ports"] == [second]
    assert "COLOUR=red" in host.inspect()["Config"]["Env"]
    assert host.names() == {host.name}


def test_a_container_of_somebody_else_is_left_alone(host: Host) -> None:
    stranger = host.engine.containers.create(IMAGE, ["true"], name=host.name)
    for command in ("up", "down", "upgrade"):
        said = host.run(command, expect=1).stderr
        assert "not one of ours" in said
        assert "--name" in said or command != "up"
    stranger.reload()
    assert stranger.status == "created"


def test_a_taken_port_is_named_and_nothing_is_left_behind(host: Host) -> None:
    host.image(host.tag, reports=report())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = host.up("--image", host.tag, "--ports", str(port), expect=1)
    assert f"port {port} is taken" in said
    assert host.names() == set()


@pytest.mark.parametrize("image", ["localhost:1/hermes:none", "hermes-nowhere:dev"])
def test_an_image_that_is_nowhere_is_one_sentence(host: Host, image: str) -> None:
    said = host.up("--image", image, expect=1)
    assert f"{image} is not here and cannot be pulled" in said
    assert "Traceback" not in said
    assert ("pulling" in said) is ("/" in image)  # anybody may own a name without a registry on Docker's hub
    assert host.names() == set()


def test_a_container_that_ends_at_once_shows_its_last_words_and_does_not_loop(host: Host) -> None:
    host.image(host.tag, reports=report(), command="echo no room in here; exit 7")
    said = host.up("--image", host.tag, "--ports", "none", expect=1)
    assert "no room in here" in said
    assert "exit code 7" in said
    assert host.inspect()["State"]["Status"] == "exited"


def test_a_problem_that_no_waiting_mends_is_reported_at_once(host: Host) -> None:
    host.image(host.tag, reports=report("gateway-a: parked: no port", actual="parked"))
    begin = time.monotonic()
    said = host.up("--image", host.tag, "--ports", "none", "--timeout", "60", expect=1)
    assert "gateway-a: parked: no port" in said
    assert time.monotonic() - begin < 30


def test_a_problem_inside_is_reported_when_the_time_is_over(host: Host) -> None:
    host.image(host.tag, reports=report("gateway-a: parked: no port"))
    said = host.up("--image", host.tag, "--ports", "none", "--timeout", "1", expect=1)
    assert "gateway-a: parked: no port" in said
    assert "serving" in said


def test_upgrade_takes_the_newer_image_and_keeps_settings_and_volume(
    host: Host, free_port: Callable[[], int]
) -> None:
    host.image(host.tag, reports=report())
    port = free_port()
    made = host.up("--image", host.tag, "--ports", str(port), "--env", "COLOUR=red")
    newer = host.image(host.tag, reports=report())
    assert host.up()["newer_image"] is True

    done = json.loads(host.run("upgrade", "--json").stdout)
    assert done["outcome"] == "upgraded"
    assert done["container"] != made["container"]
    attributes = host.inspect()
    assert attributes["Image"] == newer.id
    assert "COLOUR=red" in attributes["Config"]["Env"]
    assert (done["ports"], done["volume"]) == ([port], host.volume)
    assert host.names() == {host.name}
    assert json.loads(host.run("upgrade", "--json").stdout)["outcome"] == "current"


@pytest.mark.parametrize(
    ("broken", "command"),
    [("gateway-a: wanted up, but down", SERVES), (None, "echo broken; exit 3")],
    ids=["unhealthy", "ends at once"],
)
def test_an_upgrade_that_fails_brings_the_old_container_back(
    host: Host, broken: str | None, command: str
) -> None:
    host.image(host.tag, reports=report())
    made = host.up("--image", host.tag, "--ports", "none")
    host.image(host.tag, reports=report(*([broken] if broken else [])), command=command)
    said = host.run("upgrade", "--timeout", "2", expect=1).stderr
    assert "the container from before is back" in said
    attributes = host.inspect()
    assert attributes["Id"].startswith(made["container"])
    assert attributes["State"]["Status"] == "running"
    assert host.names() == {host.name}


def test_a_problem_from_before_does_not_stop_an_upgrade(host: Host) -> None:
    host.image(host.tag, reports=report())
    problem = f"REPORT={report('gateway-a: parked')}"
    host.up("--image", host.tag, "--ports", "none", "--env", problem, "--timeout", "1", expect=1)
    newer = host.image(host.tag, reports=report())
    host.run("upgrade", "--timeout", "5")
    assert host.inspect()["Image"] == newer.id


def test_an_upgrade_that_was_killed_halfway_is_undone_by_the_next_command(host: Host) -> None:
    host.image(host.tag, reports=report())
    made = host.up("--image", host.tag, "--ports", "none")
    container = host.engine.containers.get(host.name)
    container.stop(timeout=5)
    container.rename(f"{host.name}-before-upgrade")
    assert host.up()["container"] == made["container"]
    assert host.names() == {host.name}


def test_down_with_volume_asks_and_removes_it_only_after_a_yes(host: Host) -> None:
    host.image(host.tag, reports=report())
    host.up("--image", host.tag, "--ports", "none")
    assert "--yes" in host.run("down", "--volume", expect=2).stderr
    assert host.names() == {host.name}
    done = json.loads(host.run("down", "--volume", "--yes", "--json").stdout)
    assert done["volume_removed"] is True
    with pytest.raises(docker.errors.NotFound):
        host.engine.volumes.get(host.volume)
    assert json.loads(host.run("down", "--json").stdout)["removed"] is False


def test_a_directory_of_the_host_can_be_the_volume_and_is_never_removed(host: Host, tmp_path: Path) -> None:
    host.image(host.tag, reports=report())
    (tmp_path / "config.yaml").write_text("# mine\n")
    done = json.loads(
        host.run("up", "--image", host.tag, "--ports", "none", "--volume", str(tmp_path), "--json").stdout
    )
    assert done["volume"] == str(tmp_path)
    said = host.run("down", "--volume", "--yes", expect=1).stderr
    assert "remove it yourself" in said
    assert (tmp_path / "config.yaml").exists()


def test_no_engine_is_one_sentence(monkeypatch: pytest.MonkeyPatch, host: Host, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    said = host.run("up", expect=1).stderr
    monkeypatch.undo()
    assert "no Docker engine answers" in said
    assert len(said.strip().splitlines()) == 1
