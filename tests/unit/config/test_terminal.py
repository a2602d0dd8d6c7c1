"""Where commands run is configured two levels deep, and as strictly as the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from hermes_cli.config import ConfigError, load_config
from hermes_cli.config.editing import parse_value, set_value
from hermes_cli.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home("coder", tmp_path)
    home.path.mkdir(parents=True)
    home.config.write_text("gateway:\n  port: 8700 # beside\n")
    return home


def test_commands_run_here_unless_something_else_is_said(home: Home) -> None:
    terminal = load_config(home, {}).terminal
    assert (terminal.environment, terminal.docker.container, terminal.ssh.host) == ("local", "", "")


def test_a_host_and_a_container_are_read_from_below_their_names(home: Home) -> None:
    home.config.write_text(
        "terminal:\n  environment: ssh\n  ssh:\n    host: build.example\n    port: 2222\n"
        "    identity_file: ~/.ssh/id\n  docker:\n    image: debian:trixie\n    cpus: 1.5\n"
    )
    config = load_config(home, {})
    assert config.warnings == []
    assert (config.terminal.environment, config.terminal.ssh.host, config.terminal.ssh.port) == (
        "ssh",
        "build.example",
        2222,
    )
    assert config.terminal.ssh.identity_file == "~/.ssh/id"
    assert (config.terminal.docker.image, config.terminal.docker.cpus) == ("debian:trixie", 1.5)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("terminal:\n  environment: podman\n", "terminal.environment"),
        ("terminal:\n  environment:\n", "terminal.environment"),
        ("terminal:\n  docker: box\n", "terminal.docker"),
        ("terminal:\n  docker:\n    container: -rm\n", "terminal.docker.container"),
        ("terminal:\n  docker:\n    image: 'a b'\n", "terminal.docker.image"),
        ("terminal:\n  docker:\n    workdir: work\n", "terminal.docker.workdir"),
        ("terminal:\n  docker:\n    memory: -1\n", "terminal.docker.memory"),
        ("terminal:\n  docker:\n    cpus: .nan\n", "terminal.docker.cpus"),
        ("terminal:\n  ssh:\n    host: -oProxyCommand=x\n", "terminal.ssh.host"),
        ("terminal:\n  ssh:\n    user: -l\n", "terminal.ssh.user"),
        ("terminal:\n  ssh:\n    port: 65536\n", "terminal.ssh.port"),
        ("terminal:\n  ssh:\n    identity_file: id_rsa\n", "terminal.ssh.identity_file"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(home: Home, text: str, key: str) -> None:
    home.config.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(home, {})
    assert caught.value.key == key
    assert caught.value.line is not None


def test_a_word_nobody_knows_below_a_subsection_is_a_warning(home: Home) -> None:
    home.config.write_text("terminal:\n  docker:\n    contaner: box\n")
    [warning] = load_config(home, {}).warnings
    assert "unknown key 'terminal.docker.contaner'" in warning
    assert "did you mean 'terminal.docker.container'?" in warning


def test_a_setting_two_levels_deep_is_set_beside_what_is_there(home: Home) -> None:
    for key, text in (("terminal.docker.container", "box"), ("terminal.ssh.port", "22")):
        set_value(home, key, parse_value(key, text, home.config))
    config = load_config(home, {})
    assert (config.terminal.docker.container, config.terminal.ssh.port) == ("box", 22)
    assert "port: 8700 # beside" in home.config.read_text()


def test_a_setting_is_not_written_over_what_is_no_mapping(home: Home) -> None:
    home.config.write_text("terminal:\n  docker: box\n")
    with pytest.raises(ConfigError, match=r"below 'terminal\.docker'"):
        set_value(home, "terminal.docker.image", "debian")
