"""check_rc_sources.py passes on what the image ships and refuses what s6-rc-compile would refuse."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def check(rc: Path, cont_init: Path) -> tuple[int, str]:
    result = subprocess.run(
        [sys.executable, ROOT / "scripts/check_rc_sources.py", rc, cont_init],
        capture_output=True,
        text=True,
        timeout=30,
    )
    return result.returncode, result.stdout + result.stderr


@pytest.fixture
def house(tmp_path: Path) -> Path:
    for part in ("s6-rc.d", "cont-init.d"):
        shutil.copytree(ROOT / part, tmp_path / part)
    return tmp_path


def test_what_the_image_ships_would_compile(house: Path) -> None:
    assert check(house / "s6-rc.d", house / "cont-init.d") == (0, "")


def write(name: str, text: str) -> Callable[[Path], object]:
    def change(house: Path) -> None:
        (house / name).parent.mkdir(parents=True, exist_ok=True)
        (house / name).write_text(text)

    return change


BREAKAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "an unknown type": (write("s6-rc.d/dashboard/type", "longrum\n"), "dashboard/type is not"),
    "no type": (lambda h: (h / "s6-rc.d/dashboard/type").unlink(), "dashboard/type is not"),
    "a longrun without run": (lambda h: (h / "s6-rc.d/dashboard/run").unlink(), "without run"),
    "a run script without its bit": (lambda h: (h / "s6-rc.d/dashboard/run").chmod(0o644), "not executable"),
    "a run script for no interpreter": (
        write("s6-rc.d/dashboard/run", "exec true\n"),
        "starts with 'exec true'",
    ),
    "a member that does not exist": (write("s6-rc.d/user/contents.d/nobody", ""), "no such service"),
    "a dependency that does not exist": (
        write("s6-rc.d/dashboard/dependencies.d/nobody", ""),
        "no such service",
    ),
    "a dependency on itself": (
        write("s6-rc.d/slot-registrar/dependencies.d/main-hermes", ""),
        "depends on itself",
    ),
    "a dependency on its bundle": (
        write("s6-rc.d/slot-registrar/dependencies.d/user", ""),
        "depends on itself",
    ),
    "an empty bundle": (lambda h: shutil.rmtree(h / "s6-rc.d/user/contents.d"), "empty bundle"),
    "a service in no bundle": (write("s6-rc.d/stray/type", "oneshot\n"), "in no bundle"),
    "a oneshot without up": (write("s6-rc.d/stray/type", "oneshot\n"), "without up"),
    "shell in a oneshot": (write("s6-rc.d/gateways/down", "a && b\n"), "execline command line"),
    "a shebang in a oneshot": (write("s6-rc.d/gateways/down", "#!/bin/sh\ntrue\n"), "has a shebang"),
    "a misspelt file": (write("s6-rc.d/dashboard/notificaton-fd", "3\n"), "no meaning in a longrun"),
    "readiness on stdout": (write("s6-rc.d/dashboard/notification-fd", "1\n"), "has to be 3 or more"),
    "a timeout in words": (write("s6-rc.d/dashboard/timeout-kill", "5s\n"), "not a number"),
    "half a pipeline": (write("s6-rc.d/dashboard/producer-for", "main-hermes\n"), "does not name dashboard"),
    "a boot script without its bit": (
        lambda h: next((h / "cont-init.d").iterdir()).chmod(0o644),
        "not executable",
    ),
    "a boot script without a number": (write("cont-init.d/late", "#!/bin/sh\ntrue\n"), "no number"),
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_a_source_that_would_not_run_is_refused(house: Path, name: str) -> None:
    change, said = BREAKAGES[name]
    change(house)
    code, output = check(house / "s6-rc.d", house / "cont-init.d")
    assert code == 1
    assert said in output
