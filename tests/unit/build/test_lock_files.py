"""The lock files: hashes and no addresses, and what the image runs is what the tests ran."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[3]
LOCKS = sorted(path.name for path in ROOT.glob("requirements*.lock"))


def pins(lock: str) -> dict[str, set[str]]:
    """Name → the versions pinned (several where they differ by marker)."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / lock).read_text().splitlines():
        if match := re.match(r"([a-z0-9-]+)==([^ ;\\]+)", line):
            found.setdefault(match[1], set()).add(match[2])
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    for pin in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in pin, pin
    assert "//" not in text
    assert "--index" not in text
    assert "--find-links" not in text


@pytest.mark.parametrize("lock", ["requirements-host.lock", "requirements-dev.lock"])
def test_the_tests_run_the_versions_the_image_has(lock: str) -> None:
    image, other = pins("requirements.lock"), pins(lock)
    assert image == {name: other.get(name) for name in image}


@pytest.mark.parametrize(
    ("lock", "extras", "groups"),
    [
        ("requirements.lock", [], []),
        ("requirements-build.lock", None, ["build"]),
        ("requirements-host.lock", ["docker"], ["build"]),
        ("requirements-dev.lock", ["docker"], ["build", "dev"]),
    ],
)
def test_the_locks_answer_pyproject(lock: str, extras: list[str] | None, groups: list[str]) -> None:
    """A dependency added without `make lock` would be missing in the image."""
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = data["project"]
    wanted = [] if extras is None else list(project["dependencies"])
    for extra in extras or []:
        wanted += project["optional-dependencies"][extra]
    for group in groups:
        wanted += data["dependency-groups"][group]
    locked = pins(lock)
    for requirement in map(Requirement, wanted):
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        assert name in locked, f"{requirement} is not in {lock}: make lock"
        for version in locked[name]:
            assert requirement.specifier.contains(Version(version)), (
                f"{requirement} and {lock} disagree: make lock"
            )
