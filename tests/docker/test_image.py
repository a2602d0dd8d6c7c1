"""What the image says of itself and what it must not hold. Its shape is tested in build/."""

from __future__ import annotations

import os
from typing import Any

import docker
import pytest

from tests.docker.containers import IMAGE, Docker


@pytest.fixture(scope="module")
def config(client: docker.DockerClient) -> dict[str, Any]:
    found: dict[str, Any] = client.images.get(IMAGE).attrs["Config"]
    return found


def look(engine: Docker, script: str) -> str:
    """The output of a script in the bare image, as root, with no init."""
    return engine.cli("--entrypoint", "sh", command=("-c", script)).ok()


def test_the_image_says_what_it_is(config: dict[str, Any], engine: Docker) -> None:
    labels = config["Labels"]
    for key in ("title", "description", "licenses", "version", "revision", "created"):
        assert labels[f"org.opencontainers.image.{key}"].strip()
    assert labels["org.opencontainers.image.licenses"] == "MIT"
    version = engine.cli(command=("--version",)).ok()
    assert version.strip() == f"hermes {labels['org.opencontainers.image.version']}"


def test_the_image_names_the_flavour_it_was_built_in(config: dict[str, Any], engine: Docker) -> None:
    flavour = config["Labels"]["ai.hermes.s6-flavour"]
    assert flavour in {"debian", "overlay"}
    if wanted := os.environ.get("HERMES_FLAVOUR"):
        assert flavour == wanted
    assert look(engine, "cat /opt/hermes/share/flavour").strip() == flavour


def test_no_secret_is_in_the_image(client: docker.DockerClient, config: dict[str, Any]) -> None:
    text = str(config["Env"]) + str(client.images.get(IMAGE).history())
    for word in ("TOKEN=", "PASSWORD=", "SECRET=", "://user", "@localhost"):
        assert word not in text.upper()


def test_a_program_with_the_setuid_bit_is_debians_own(engine: Docker) -> None:
    debians = {
        "chfn",
        "chsh",
        "gpasswd",
        "mount",
        "newgrp",
        "passwd",
        "su",
        "umount",
        "chage",
        "expiry",
        "unix_chkpwd",
    }
    found = look(engine, r"find / -xdev \( -perm -4000 -o -perm -2000 \) -type f").split()
    assert {path.rpartition("/")[2] for path in found} <= debians
    assert not [path for path in found if path.startswith(("/opt", "/usr/local", "/etc"))]


def test_processes_can_run_in_containers_and_on_hosts(engine: Docker) -> None:
    assert look(engine, "ssh -V 2>&1").startswith("OpenSSH")
    assert (
        look(engine, "/opt/hermes/venv/bin/python -c 'import docker; print(docker.__name__)'") == "docker\n"
    )


def test_the_image_is_under_200_megabytes(client: docker.DockerClient) -> None:
    assert client.images.get(IMAGE).attrs["Size"] < 200_000_000


def test_every_subcommand_can_show_its_help(engine: Docker) -> None:
    script = """
        hermes --help >/dev/null || echo "--help: $?"
        for word in $(cat /opt/hermes/share/commands); do
          hermes "$word" --help >/dev/null || echo "$word: $?"
        done
    """
    assert look(engine, script) == ""
