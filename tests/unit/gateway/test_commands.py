"""`hermes gateway …` as typed: what it prints, what it exits with."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hermes_cli import service_manager
from hermes_cli.cli import gateway as commands
from hermes_cli.cli.main import run
from hermes_cli.gateway import lifecycle
from hermes_cli.home import Home
from hermes_cli.profiles import create_profile, seed_home
from hermes_cli.service_manager import NoServiceManagerError, ServiceManager, ServiceTimeoutError
from tests.fakes.supervisor import FileSupervisor


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HERMES_HOME", str(tmp_path / "root"))
    for name in ("HERMES_SUPERVISOR", "HERMES_GATEWAY_NO_SUPERVISE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(lifecycle, "VOLUME_HELD", tmp_path / "volume-held")
    return tmp_path / "root"


@pytest.fixture
def manager(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileSupervisor:
    made = FileSupervisor(tmp_path / "slots")
    monkeypatch.setattr(service_manager, "get_service_manager", lambda kind=None: made)
    monkeypatch.setattr(service_manager, "detect_service_manager", lambda: made.kind)
    seed_home(Home.of(root=root))
    made.register_profile_gateway("default")
    create_profile("coder", manager=made, root=root)
    return made


@pytest.fixture
def no_manager(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(kind: object = None) -> ServiceManager:
        raise NoServiceManagerError("none")

    monkeypatch.setattr(service_manager, "get_service_manager", none)
    monkeypatch.setattr(service_manager, "detect_service_manager", lambda: "none")


class Became(Exception):
    """Stands for exec: the process that would have been."""


@pytest.fixture
def exec_(monkeypatch: pytest.MonkeyPatch) -> None:
    def become(path: str, arguments: list[str]) -> None:
        raise Became(*arguments[1:])

    monkeypatch.setattr(os, "execv", become)


def test_start_says_where_it_is_and_where_token_and_log_are(
    manager: FileSupervisor, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["-p", "coder", "gateway", "start"]) == 0
    said = capsys.readouterr().out
    assert "ready at http://127.0.0.1:" in said
    assert "profiles/coder/.env" in said
    assert "hermes -p coder gateway logs -f" in said
    assert manager.slots()["coder"] == "up"


def test_the_token_itself_is_never_printed(
    manager: FileSupervisor, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = Home.of("coder", root).env.read_text().rpartition("=")[2].strip()
    for verb in ("start", "restart", "status", "list", "stop"):
        run(["-p", "coder", "gateway", verb])
    assert token
    assert token not in "".join(capsys.readouterr())


def test_all_serves_the_others_when_one_fails(
    manager: FileSupervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = manager.start

    def start(name: str) -> None:
        if name == "gateway-coder":
            raise ServiceTimeoutError(name, "start", 30.0, "starting")
        original(name)

    monkeypatch.setattr(manager, "start", start)
    assert run(["gateway", "start", "--all"]) == 1
    said = capsys.readouterr()
    assert manager.slots() == {"coder": "down", "default": "up"}
    assert "gateway-coder did not start within 30 s" in said.err
    assert "The gateway of default is ready" in said.out


def test_list_and_status_as_json_are_the_same_rows(
    manager: FileSupervisor, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["gateway", "list", "--json"])
    rows = json.loads(capsys.readouterr().out)["gateways"]
    assert [row["profile"] for row in rows] == ["default", "coder"]
    run(["-p", "coder", "gateway", "status", "--json"])
    assert json.loads(capsys.readouterr().out) == rows[1] | {"version": 1}
    assert rows[1]["wanted"] == "down"


def test_an_unknown_profile_is_one_sentence(
    manager: FileSupervisor, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in ("run", "start", "stop", "restart", "status", "logs"):
        assert run(["-p", "codr", "gateway", verb]) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "did you mean 'coder'?" in said


@pytest.mark.usefixtures("no_manager")
def test_without_a_manager_start_says_what_to_do_instead(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["gateway", "start"]) == 1
    assert "hermes gateway run" in capsys.readouterr().err


@pytest.mark.usefixtures("no_manager", "exec_")
def test_run_becomes_the_gateway_and_makes_the_first_home(root: Path) -> None:
    with pytest.raises(Became) as became:
        commands.run.main(args=[], standalone_mode=False)
    assert became.value.args == ("-P", "-m", "hermes_cli.gateway", "default")
    assert Home.of(root=root).config.exists()
    assert "HERMES_GATEWAY_TOKEN=" in Home.of(root=root).env.read_text()


@pytest.mark.usefixtures("exec_")
@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["--no-supervise"], {}),
        ([], {"HERMES_GATEWAY_NO_SUPERVISE": "1"}),
        ([], {"HERMES_SUPERVISOR": "s6"}),
    ],
)
def test_in_a_slot_or_when_told_so_it_is_not_supervised_again(
    manager: FileSupervisor,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    environment: dict[str, str],
) -> None:
    monkeypatch.setattr(service_manager, "detect_service_manager", lambda: "s6")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Became):
        commands.run.main(args=arguments, standalone_mode=False)
    assert manager.slots()["default"] == "down"
