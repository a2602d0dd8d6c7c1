"""The scripts refuse what they cannot do, and say what to do instead."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
OLD = "Docker version 20.10.24+dfsg1, build 297e128"
NEW = "Docker version 28.2.2, build e6534b4"


def run(script: str, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": path or os.environ["PATH"], "HOME": "/nonexistent"}
    return subprocess.run(
        [ROOT / "scripts" / script, *arguments], capture_output=True, text=True, timeout=30, env=environment
    )


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A PATH with what POSIX has, and no docker."""
    tools = tmp_path / "bare"
    tools.mkdir()
    for tool in ("sh", "id", "sed", "cat", "sleep", "tail", "timeout", "printf"):
        if found := shutil.which(tool):
            (tools / tool).symlink_to(found)
    return tools


def fake_docker(directory: Path, version: str, *, buildx: bool) -> Path:
    """A client that knows its version, and has the buildx plugin or not."""
    directory.mkdir()
    client = directory / "docker"
    client.write_text(
        f'#!/bin/sh\ncase $1 in\n--version) echo "{version}" ;;\nbuildx) exit {0 if buildx else 1} ;;\nesac\n'
    )
    client.chmod(0o755)
    return client


def test_no_install_refuses_where_there_is_no_engine(bare: Path) -> None:
    result = run("ensure-docker", "--no-install", path=str(bare))
    assert result.returncode == 1
    assert "no Docker engine" in result.stderr
    assert "--no-install" in result.stderr


def test_a_client_without_buildkit_is_passed_over(bare: Path, tmp_path: Path) -> None:
    fake_docker(tmp_path / "first", NEW, buildx=False)
    second = fake_docker(tmp_path / "second", OLD, buildx=False)
    result = run("docker-client", path=f"{tmp_path}/first:{tmp_path}/second:{bare}")
    assert result.stdout.strip() == str(second)


def test_a_client_with_buildx_is_taken(bare: Path, tmp_path: Path) -> None:
    first = fake_docker(tmp_path / "first", NEW, buildx=True)
    fake_docker(tmp_path / "second", OLD, buildx=False)
    result = run("docker-client", path=f"{tmp_path}/first:{tmp_path}/second:{bare}")
    assert result.stdout.strip() == str(first)


def test_no_client_that_can_build_says_which_package_to_install(bare: Path, tmp_path: Path) -> None:
    fake_docker(tmp_path / "first", NEW, buildx=False)
    result = run("docker-client", path=f"{tmp_path}/first:{bare}")
    assert result.returncode == 1
    assert "docker-buildx" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--s6", "runit"], 1, "--s6 is auto, overlay or debian, not 'runit'"),
        (["--s6"], 1, "--s6 needs a value"),
        (["--flavour", "debian"], 2, "usage: build-image"),
    ],
)
def test_build_image_refuses_what_it_does_not_know(arguments: list[str], code: int, said: str) -> None:
    result = run("build-image", *arguments)
    assert (result.returncode, said in result.stderr) == (code, True), result.stderr


@pytest.mark.parametrize("script", ["run", "ensure-docker", "ensure-venv", "base-image", "lock"])
def test_an_unknown_argument_is_named(script: str) -> None:
    result = run(script, "--nonsense")
    assert result.returncode != 0
    assert "--nonsense" in result.stderr


def test_make_lists_its_targets() -> None:
    result = subprocess.run(["make", "-C", ROOT], capture_output=True, text=True, timeout=30, check=True)
    for target in ("run", "test", "image", "check", "lint", "bench", "clean"):
        assert f"make {target} " in result.stdout
