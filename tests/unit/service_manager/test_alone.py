"""The library without the rest of Hermes: a directory that can be copied into any program."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hermes_cli import service_manager

PACKAGE = Path(service_manager.__file__).parent
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package alone, under another name, in a directory of its own."""
    shutil.copytree(PACKAGE, tmp_path / "services", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def python(directory: Path, program: str) -> str:
    """Run `program` with nothing but the standard library and the copy: no site-packages, no environment."""
    start = f"import sys; sys.dont_write_bytecode = True; sys.path.insert(0, {str(directory)!r})\n"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", start + program],
        capture_output=True,
        text=True,
        timeout=30,
        cwd="/",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_exported_name_can_be_had_from_a_copy_alone(copy: Path) -> None:
    program = "import services\nprint(*[name for name in services.__all__ if getattr(services, name)])"
    assert python(copy, program).split() == service_manager.__all__


def test_every_module_of_a_copy_can_be_imported_by_itself(copy: Path) -> None:
    assert MODULES
    program = f"""
from importlib import import_module
for name in {MODULES!r}:
    for loaded in [module for module in sys.modules if module.partition(".")[0] == "services"]:
        del sys.modules[loaded]
    import_module("services." + name)
print(*{{module.partition(".")[0] for module in sys.modules}} - set(sys.stdlib_module_names) - {{"__main__"}})
"""
    assert python(copy, program).split() == ["services"]


def test_a_copy_works(copy: Path) -> None:
    """Rendering needs no init: a unit of a program that has nothing to do with Hermes."""
    program = """
from services import RestartPolicy, ServiceSpec, SystemdServiceManager, detect_service_manager
assert detect_service_manager() in ("systemd", "launchd", "windows", "s6", "none")
spec = ServiceSpec("web", ("/usr/bin/python3", "-m", "http.server"), restart=RestartPolicy(window=30))
files = SystemdServiceManager("user").render(spec)
print([file.path.name for file in files][-1])
"""
    assert python(copy, program) == "web.service\n"
