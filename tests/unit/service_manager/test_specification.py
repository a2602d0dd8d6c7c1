"""The library's names, types and rules, as its users rely on them."""

from __future__ import annotations

import ast
import subprocess
import sys
import types
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hermes_cli.service_manager as library
from hermes_cli.service_manager import (
    GatewayNotRegisteredError,
    InvalidNameError,
    PermissionDeniedError,
    RestartPolicy,
    S6CommandError,
    S6ServiceManager,
    ServiceError,
    ServiceManager,
    ServiceParkedError,
    ServiceSpec,
    ServiceStatus,
    ServiceTimeoutError,
    SupervisorNotAnsweringError,
    validate_profile_name,
)
from hermes_cli.service_manager.names import profile_of, service_name

PACKAGE = Path(library.__file__).parent


def test_the_exported_names_are_exactly_these() -> None:
    assert dir(library) == sorted(library.__all__)
    for name in library.__all__:
        assert getattr(library, name) is not None
    public = {
        name
        for name, value in vars(library).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType) and name != "TYPE_CHECKING"
    }
    assert public == set(library.__all__)
    with pytest.raises(AttributeError, match="Nonsense"):
        library.Nonsense  # noqa: B018


def test_it_imports_the_standard_library_and_itself_only() -> None:
    for source in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.level <= 1, f"{source.name} reaches out of the package"
                modules = [node.module or ""] if node.level == 0 else []
            elif isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            else:
                continue
            for module in modules:
                assert module.partition(".")[0] in sys.stdlib_module_names, f"{source.name} imports {module}"


def test_importing_it_is_quick() -> None:
    """Under 30 ms over a bare interpreter: every command pays it. The fastest of some, for busy machines."""
    program = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"
    statement = "import hermes_cli.service_manager"
    fastest = min(
        float(
            subprocess.run(
                [sys.executable, "-c", program.format(statement)], capture_output=True, check=True
            ).stdout
        )
        for _ in range(7)
    )
    assert fastest < 0.030, f"{fastest * 1000:.1f} ms"


def test_importing_it_loads_no_backend() -> None:
    program = f"import sys, {PACKAGE.parent.name}.service_manager; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"subprocess", "ctypes", "dataclasses", "hermes_cli.service_manager.s6"} & set(loaded)


def test_it_can_be_imported_where_there_is_no_fork_and_no_flock() -> None:
    """As on Windows: fcntl and posix_spawn are needed by verbs, not by names."""
    program = """
import os, sys
for module in ("fcntl", "pwd", "grp", "termios"):
    sys.modules[module] = None
del os.posix_spawn
from hermes_cli.service_manager import *
print(S6ServiceManager().kind)
"""
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout == b"s6\n"


def test_the_s6_backend_keeps_the_protocol() -> None:
    assert isinstance(S6ServiceManager(), ServiceManager)


@pytest.mark.parametrize("name", ["default", "a", "0", "a-b_c", "x" * 243])
def test_good_names_pass(name: str) -> None:
    assert validate_profile_name(name) == name
    assert profile_of(service_name(name)) == name


@pytest.mark.parametrize("name", ["", "-a", "_a", "A", "a.b", "a/b", "a b", "a\n", "é", "..", "x" * 244])
def test_bad_names_are_refused_with_the_rule(name: str) -> None:
    with pytest.raises(InvalidNameError, match="use") as caught:
        validate_profile_name(name)
    assert isinstance(caught.value, ValueError)


@given(st.text())
def test_a_name_that_passes_can_be_a_file_name_and_a_word(name: str) -> None:
    try:
        validate_profile_name(name)
    except InvalidNameError:
        return
    assert name.isascii()
    assert not set(name) & set("/ .\0\n'\"$")


def test_the_waits_before_a_restart() -> None:
    policy = RestartPolicy()
    assert [policy.delay_before(n) for n in range(10)] == [0, 0, 1, 2, 4, 8, 16, 30, 30, 30]


def test_specifications_and_statuses_cannot_be_changed() -> None:
    for value in (
        RestartPolicy(),
        ServiceSpec("gateway-a", ("x",)),
        ServiceStatus("gateway-a", registered=True),
    ):
        with pytest.raises(FrozenInstanceError):
            setattr(value, fields(value)[0].name, "other")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (GatewayNotRegisteredError("a", "gateway-a"), ["gateway-a", "hermes profile create a"]),
        (GatewayNotRegisteredError("dashboard", "dashboard"), ["there is no service dashboard"]),
        (
            S6CommandError("gateway-a", "start", 111, "s6-svc: fatal: x\n"),
            ["start gateway-a", "111", "fatal: x"],
        ),
        (S6CommandError("gateway-a", "start", 1, ""), ["it said nothing"]),
        (
            ServiceTimeoutError("gateway-a", "stop", 35.0, "up"),
            ["gateway-a", "35 s", "up", "'hermes -p a gateway logs'"],
        ),
        (ServiceTimeoutError("gateway-default", "stop", 1.0, "up"), ["'hermes gateway logs'"]),
        (ServiceParkedError("gateway-a", "bad port"), ["gateway-a is parked", "bad port"]),
        (PermissionDeniedError("gateway-a", "start", "be root"), ["start gateway-a", "be root"]),
        (SupervisorNotAnsweringError("gateway-a"), ["gateway-a", "hermes doctor"]),
    ],
)
def test_every_error_is_one_sentence_that_names_the_service(error: ServiceError, words: list[str]) -> None:
    assert isinstance(error, ServiceError)
    for word in words:
        assert word in str(error)
    assert "\n" not in str(error)
