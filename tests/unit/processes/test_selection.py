"""The configuration decides where processes run."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hermes_cli.config import ConfigError
from hermes_cli.home import Home
from hermes_cli.processes.environments import discard_sandboxes, open_environment
from hermes_cli.processes.environments.selection import sandbox_identity
from hermes_cli.processes.environments.ssh import SshTarget
from hermes_cli.processes.errors import EnvironmentUnusableError


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home("coder", tmp_path)
    home.path.mkdir(parents=True)
    home.config.write_text("# defaults\n")
    return home


def test_processes_run_here_unless_the_configuration_says_otherwise(home: Home) -> None:
    environment = open_environment(home)
    assert (environment.kind, environment.name) == ("local", "this machine")
    assert environment.working_directory(None) == (str(home.path), None)


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("terminal:\n  environment: docker\n  docker:\n    container: box\n", "docker", "the container box"),
        ("terminal:\n  environment: ssh\n  ssh:\n    host: build\n", "ssh", "the host build"),
    ],
)
def test_what_the_configuration_names_is_opened_and_not_yet_asked(
    home: Home, text: str, kind: str, name: str
) -> None:
    home.config.write_text(text)
    environment = open_environment(home)
    assert (environment.kind, environment.name) == (kind, name)
    assert open_environment(home, "local").kind == "local"


@pytest.mark.parametrize(
    ("kind", "key"), [("docker", r"terminal\.docker\.container"), ("ssh", r"terminal\.ssh\.host")]
)
def test_an_environment_without_its_setting_names_the_setting(home: Home, kind: str, key: str) -> None:
    home.config.write_text(f"terminal:\n  environment: {kind}\n")
    with pytest.raises(EnvironmentUnusableError, match=key) as refused:
        open_environment(home)
    assert refused.value.cause == "not_configured"


def test_a_broken_configuration_is_an_error_of_its_own(home: Home) -> None:
    home.config.write_text("terminal:\n  environment: podman\n")
    with pytest.raises(ConfigError, match="local, docker or ssh"):
        open_environment(home)


def test_a_profile_is_the_same_in_sandboxes_whoever_asks_first_and_whatever_it_is_called(
    home: Home, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(8) as pool:
        identities = set(pool.map(lambda _: sandbox_identity(home), range(16)))
    [identity] = identities
    assert identity.name.startswith("coder-")
    [file] = home.processes.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    other = Home("coder", tmp_path / "elsewhere")
    other.path.mkdir(parents=True)
    assert sandbox_identity(other).name != identity.name
    renamed = Home("writer", tmp_path)
    home.path.rename(renamed.path)
    assert sandbox_identity(renamed) == identity


def test_no_engine_is_asked_for_a_profile_that_never_used_one(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert discard_sandboxes(home) == 0


def test_ssh_never_asks_never_trusts_by_itself_and_lends_nothing() -> None:
    words = SshTarget("build", user="me", port=2222, identity_file="~/.ssh/id").command()
    for option in (
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "ForwardAgent=no",
        "ClearAllForwardings=yes",
    ):
        assert words[words.index(option) - 1] == "-o"
    assert words[-3:-1] == ["--", "build"]
    assert (words[words.index("-p") + 1], words[words.index("-l") + 1]) == ("2222", "me")
    assert words[words.index("-i") + 1] == str(Path("~/.ssh/id").expanduser())
    assert not {"'", "\\", "!", "\n"} & set(words[-1].removeprefix("exec /bin/sh -c '").removesuffix("'"))


def test_a_connection_is_kept_only_where_its_socket_fits() -> None:
    assert "ControlMaster=auto" in SshTarget("h", control_directory="/run/c").command()
    for directory in (None, f"/{'d' * 60}", "/a%b"):
        assert "ControlPath=none" in SshTarget("h", control_directory=directory).command()
