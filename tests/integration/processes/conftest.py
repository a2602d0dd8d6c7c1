"""The `sandbox` of a case: each is made once for a worker, and each test has a profile of its own there."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from hermes_cli.processes.environments import Environment
from tests.integration.processes.keeping import Place
from tests.integration.processes.sandboxes import (
    SSHD,
    DockerSandbox,
    LocalSandbox,
    Sandbox,
    SshSandbox,
    engine_answers,
)

NAMES = ("local", "docker", "ssh")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "only(*names): the case is for these sandboxes")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "sandbox" not in metafunc.fixturenames:
        return
    names = NAMES
    for mark in metafunc.definition.iter_markers("only"):
        names = mark.args
    # One worker has all of the container's: one for each would do nothing but take longer to make.
    marks = {name: [pytest.mark.xdist_group(f"sandbox-{name}")] if name != "local" else [] for name in names}
    values = [pytest.param(name, marks=marks[name]) for name in names]
    metafunc.parametrize("sandbox", values, indirect=True)


@pytest.fixture(scope="session")
def sandboxes() -> Iterator[Callable[[str], Sandbox]]:
    """Makes each when it is first asked for; skips where the machine has no engine, or no sshd."""
    made: dict[str, Sandbox] = {}
    with ExitStack() as ending:
        # Short: sockets are made below it.
        scratch = Path(tempfile.mkdtemp(prefix="hermes-"))
        ending.callback(shutil.rmtree, scratch, ignore_errors=True)

        def get(name: str) -> Sandbox:
            if name not in made:
                made[name] = _make(name, scratch)
                ending.callback(made[name].close)
            return made[name]

        yield get


def _make(name: str, scratch: Path) -> Sandbox:
    directory = scratch / name
    directory.mkdir()
    if name == "local":
        return LocalSandbox(directory)
    if name == "docker":
        if not engine_answers():
            pytest.skip("no Docker engine answers (scripts/ensure-docker)")
        return DockerSandbox()
    if SSHD is None:
        pytest.skip("no sshd on this machine (Debian: apt-get install openssh-server)")
    return SshSandbox(directory)


@pytest.fixture
def sandbox(request: pytest.FixtureRequest, sandboxes: Callable[[str], Sandbox]) -> Sandbox:
    return sandboxes(request.param)


@pytest.fixture
def profile() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def connect(sandbox: Sandbox, profile: str) -> Iterator[Callable[..., Environment]]:
    """Makes clients of the test's own profile; all that they started is ended after the test."""
    made: list[Environment] = []

    def new(**options: Any) -> Environment:
        made.append(sandbox.environment(profile, **options))
        return made[-1]

    yield new
    made.append(sandbox.environment(profile))
    made[-1].kill_all(grace=0.0)
    for one in made:
        one.disconnect()


@pytest.fixture
def environment(connect: Callable[..., Environment]) -> Environment:
    return connect()


@pytest.fixture
def place() -> Iterator[Place]:
    """Processes of this test alone, on this machine."""
    # Short: sockets are made below it.
    with tempfile.TemporaryDirectory(prefix="hermes-") as directory:
        made = Place(Path(directory, "processes"))
        yield made
        made.sweep()
