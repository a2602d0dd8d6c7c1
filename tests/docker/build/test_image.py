"""What the image is: small, root's, without what built it, and true to its labels."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

import docker
import pytest
from docker.models.images import Image

from tests.docker.containers import IMAGE

ROOT = Path(__file__).parents[3]
MEGABYTE = 1_000_000


class Shell(Protocol):
    def __call__(self, script: str, user: str = "0") -> list[str]: ...


@pytest.fixture(scope="module")
def image(client: docker.DockerClient) -> Image:
    return client.images.get(IMAGE)


@pytest.fixture
def shell(client: docker.DockerClient) -> Shell:
    def run(script: str, user: str = "0") -> list[str]:
        """The lines that `script` prints in the image, without its init; a failure raises."""
        output = client.containers.run(
            IMAGE, [script], entrypoint=["sh", "-ec"], user=user, remove=True, network_mode="none"
        )
        return bytes(output).decode().splitlines()

    return run


def test_the_image_is_under_200_megabytes(image: Image) -> None:
    assert image.attrs["Size"] < 200 * MEGABYTE


def test_the_image_says_how_to_run_it(image: Image) -> None:
    config = image.attrs["Config"]
    assert config["Entrypoint"] == ["/opt/hermes/docker/entrypoint"]
    assert not config["Cmd"]
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"] == ["CMD", "hermes", "status", "--healthy"]
    assert list(config["Volumes"]) == ["/opt/data"]
    assert set(config["ExposedPorts"]) == {"8642/tcp", "9119/tcp"}
    labels = config["Labels"]
    for label in ("title", "description", "licenses", "version", "revision", "created"):
        assert labels[f"org.opencontainers.image.{label}"]


def test_label_and_file_name_the_same_flavour(image: Image, shell: Shell) -> None:
    flavour = image.attrs["Config"]["Labels"]["ai.hermes.s6-flavour"]
    assert flavour in {"overlay", "debian"}
    assert shell("cat /opt/hermes/share/flavour") == [flavour]


def test_the_service_user_owns_and_can_write_nothing_below_opt_hermes(shell: Shell) -> None:
    assert (
        shell("find /opt/hermes /init /etc/cont-init.d /etc/s6-overlay ! -user root -o ! -type l -perm /022")
        == []
    )
    assert shell("find /opt/hermes -writable ! -type l", user="10000") == []


def test_the_service_user_can_read_all_of_it(shell: Shell) -> None:
    assert shell("find /opt/hermes ! -readable -o -type d ! -executable", user="10000") == []


def test_what_built_the_image_is_not_in_it(shell: Shell) -> None:
    tools = "gcc cc ld make pip pip3 uv curl wget git"
    assert shell(f"for tool in {tools}; do command -v $tool || true; done") == []
    assert shell("find / -xdev -name pip -o -xdev -name ensurepip -type d") == []
    assert shell("find /var/lib/apt/lists /run/secrets -type f 2>/dev/null || true") == []


def test_nothing_is_compiled_at_the_first_start(shell: Shell) -> None:
    """Root's byte code cannot be written by the service user, who would compile it anew at every start."""
    missing = shell(
        'find /opt/hermes/venv/lib -name "*.py" | while read -r source; do'
        ' set -- "${source%/*}/__pycache__/$(basename "$source" .py)".cpython-*.pyc;'
        ' [ -e "$1" ] || echo "$source"; done'
    )
    assert missing == []


def test_the_words_taken_for_subcommands_are_the_subcommands(shell: Shell) -> None:
    assert shell("cat /opt/hermes/share/commands") == shell("/opt/hermes/venv/bin/hermes --commands")


def test_the_image_has_the_locked_versions_and_nothing_else(shell: Shell) -> None:
    listed = shell(
        "/opt/hermes/venv/bin/python -c 'from importlib.metadata import distributions\n"
        'for d in distributions(): print(d.name.lower().replace("_", "-").replace(".", "-"), d.version)\''
    )
    installed = dict(line.split() for line in listed)
    assert installed.pop("hermes-cli")
    locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.M))
    assert {name: locked.get(name) for name in installed} == installed
