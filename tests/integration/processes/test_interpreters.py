"""What runs in a sandbox runs with the Python that is there, from 3.10 on, and its library alone."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hermes_cli.processes.environments.bundle import LAUNCHER, MODULES, files
from hermes_cli.processes.environments.remote import RemoteEnvironment
from hermes_cli.processes.errors import EnvironmentUnusableError
from hermes_cli.processes.types import StartRequest


def interpreters() -> dict[str, str]:
    """Working ones from 3.10 on, by version; the oldest is the one that matters."""
    found: dict[str, str] = {}
    candidates = [shutil.which(f"python3.{minor}") for minor in range(10, 20)]
    candidates += sorted(map(str, Path.home().glob(".pyenv/versions/3.*/bin/python3")))
    code = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
    for candidate in filter(None, [*candidates, "/usr/bin/python3", sys.executable]):
        try:
            done = subprocess.run(
                [candidate, "-I", "-S", "-c", code], capture_output=True, text=True, check=False
            )
        except OSError:
            continue
        version, _, program = done.stdout.strip().partition(" ")
        if done.returncode == 0 and int(version.partition(".")[2]) >= 10:
            found.setdefault(version, program)
    return found


class Pipe:
    """A transport to /bin/sh on this machine, whose PATH has nothing but one python3."""

    def __init__(self, directory: Path) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", LAUNCHER],
            env={"PATH": os.fspath(directory), "HOME": os.fspath(directory)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def receive(self) -> bytes:
        assert self._process.stdout is not None
        data: bytes = self._process.stdout.read1(1 << 16)  # type: ignore[attr-defined]
        if not data:
            self._process.wait(10)
            for pipe in (self._process.stdout, self._process.stdin):
                assert pipe is not None
                pipe.close()
        return data

    def close(self) -> None:
        self._process.terminate()

    def cause(self) -> EnvironmentUnusableError:
        return EnvironmentUnusableError(f"it ended with {self._process.wait(10)}")


def environment(directory: Path, python: str | None) -> RemoteEnvironment:
    for program in ("sh", "cat", "sleep", "seq"):
        found = shutil.which(program)
        assert found is not None
        (directory / program).symlink_to(found)
    if python is not None:
        (directory / "python3").symlink_to(python)
    return RemoteEnvironment("the pipe", "ssh", lambda: Pipe(directory), profile="test")


@pytest.mark.parametrize("version", sorted(interpreters()))
def test_processes_are_kept_with_every_python_from_3_10_on(tmp_path: Path, version: str) -> None:
    there = environment(tmp_path, interpreters()[version])
    assert there.about()["python"].startswith(version)
    watched = there.start(
        StartRequest(command="seq 100000; read x; echo got $x", watch_patterns=("re:^9+$",))
    )
    there.submit(watched.session_id, "it")
    waited = there.wait(watched.session_id, 20)
    assert (waited.status, waited.exit_code, waited.output[-7:]) == ("exited", 0, "got it\n")
    [found] = there.collect_events({}, 10)
    assert [event["output"] for event in found.events][:1] == ["9"]
    terminal = there.start(StartRequest(command="cat", pty=True, notify_on_complete=True))
    there.resize(terminal.session_id, 10, 20)
    assert there.kill(terminal.session_id).status == "killed"
    assert there.log(watched.session_id, offset=5, limit=2).output == "6\n7"
    there.disconnect()


def test_a_python_that_is_too_old_is_named(tmp_path: Path) -> None:
    there = environment(tmp_path, None)
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2"\nexit 1\n')
    old.chmod(0o755)
    with pytest.raises(EnvironmentUnusableError, match=r"has only Python 3\.9\.2.*3\.10") as refused:
        there.list()
    assert refused.value.cause == "no_python"


def test_no_python_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnusableError, match=r"has none: .* python3, 3\.10 or newer") as refused:
        environment(tmp_path, None).list()
    assert refused.value.cause == "no_python"


def test_what_is_sent_is_all_that_it_imports_and_nothing_but_the_standard_library() -> None:
    contents = files()
    missing, foreign = set(), set()
    for path, data in contents.items():
        package = path.rsplit("/", 1)[0].replace("/", ".")
        for node in ast.walk(ast.parse(data, feature_version=(3, 10))):
            for name in imported(node, package):
                if name.partition(".")[0] != "hermes_cli":
                    if name.partition(".")[0] not in sys.stdlib_module_names:
                        foreign.add((path, name))
                elif not (
                    {f"{name.replace('.', '/')}.py", f"{name.replace('.', '/')}/__init__.py"} & {*contents}
                ):
                    missing.add((path, name))
    assert not foreign
    assert not missing
    used = {name for name in MODULES if any(f"/{name}.py" in path for path in contents)}
    assert used == {*MODULES}


def imported(node: ast.AST, package: str) -> list[str]:
    """The modules that an import names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    parents = package.split(".")
    base = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
    if node.module:
        return [f"{base}.{node.module}" if base else node.module]
    return [f"{base}.{alias.name}" for alias in node.names]
