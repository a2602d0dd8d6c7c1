"""The root of the command line: fast, and every failure is a sentence with the right exit code."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from pathlib import Path

import click
import pytest

from hermes_cli.cli import main as root_module
from hermes_cli.cli.main import COMMANDS, cli
from hermes_cli.gateway.records import IntentRecord, ParkedRecord
from hermes_cli.home import Home, save
from hermes_cli.profiles import create_profile

_HEAVY = {
    "rich",
    "textual",
    "starlette",
    "uvicorn",
    "ruamel",
    "yaml",
    "docker",
    "requests",
    "asyncio",
    "secrets",
}


def hermes(*words: str, home: Path, **options: object) -> subprocess.CompletedProcess[str]:
    settings: dict[str, object] = {
        "capture_output": True,
        "text": True,
        "timeout": 30,
        "stdin": subprocess.DEVNULL,
    }
    return subprocess.run(  # type: ignore[no-any-return,call-overload]
        [sys.executable, "-m", "hermes_cli.cli.main", *words],
        env={"HERMES_HOME": str(home), "PATH": os.environ["PATH"], "PYTHONWARNINGS": "error"},
        **(settings | options),
    )


@pytest.mark.parametrize(
    "words",
    [
        *(("profile", "list"), ("--commands",), ("--version",), ("--help",)),
        *(("status",), ("status", "--json"), ("gateway", "list"), ("gateway", "status")),
    ],
    ids=" ".join,
)
def test_a_fast_command_imports_nothing_heavy(words: tuple[str, ...], tmp_path: Path) -> None:
    create_profile("coder", root=tmp_path)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "hermes_cli.cli.main", *words],
        env={"HERMES_HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "click" in imported
    assert imported.isdisjoint(_HEAVY), imported & _HEAVY


def test_every_command_in_the_table_exists() -> None:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.name == name


def test_help_lists_every_command(tmp_path: Path) -> None:
    said = hermes("--help", home=tmp_path).stdout
    assert all(f"  {name} " in said for name in COMMANDS)


def test_commands_prints_the_words_the_image_needs(tmp_path: Path) -> None:
    assert hermes("--commands", home=tmp_path).stdout.split() == sorted(COMMANDS)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("statsu",), "did you mean 'status'?"),
        (("xyzzy",), "'hermes --help' lists the commands"),
        (("--bogus",), "No such option"),
        (("-p", "A b", "profile", "list"), "use lower-case letters"),
        (("-p",), "requires an argument"),
        (("profile", "create"), "Missing argument"),
        (("config", "get", "gateway.prot"), "did you mean 'gateway.port'?"),
        (("config", "set", "gateway.token", "x"), "lives in the profile's .env"),
        (("--tui", "profile", "list"), "takes no command"),
        ((), "Usage: hermes"),
    ],
)
def test_wrong_usage_is_exit_2_and_says_what_is_right(
    words: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    done = hermes(*words, home=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("profile show co", ["coder"]),
        ("profile delete co", ["coder"]),
        ("profile rename co", ["coder"]),
        ("config get gateway.p", ["gateway.port"]),
        ("gateway st", ["start", "status", "stop"]),
    ],
)
def test_completion_knows_commands_profiles_and_settings(
    typed: str, offered: list[str], tmp_path: Path
) -> None:
    create_profile("coder", root=tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", "from hermes_cli.cli.main import main; main()"],
        env={
            "HERMES_HOME": str(tmp_path),
            "_HERMES_COMPLETE": "bash_complete",
            "COMP_WORDS": f"hermes {typed}",
            "COMP_CWORD": str(len(typed.split())),
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert [line.partition(",")[2] for line in done.stdout.splitlines()] == offered


def test_the_help_of_completion_keeps_one_line_for_each_shell(tmp_path: Path) -> None:
    said = [line.strip() for line in hermes("completion", "--help", home=tmp_path).stdout.splitlines()]
    assert "hermes completion fish | source   # in ~/.config/fish/config.fish" in said


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("profile", "delete", "ghost", "--yes"), 1, "there is no profile 'ghost'"),
        (("profile", "create", "default"), 1, "cannot be created"),
        (("profile", "create", "A"), 1, "is not a valid name"),
        (("profile", "create", "coder"), 1, "already exists"),
        (("-p", "ghost", "config", "get"), 1, "there is no profile 'ghost'"),
        (("-p", "broken", "config", "get"), 78, "config.yaml:2:9: gateway.port: expected a port number"),
        (("-p", "coder", "config", "set", "gateway.port", "8642"), 1, "belongs to profile 'default' already"),
        (("-p", "coder", "config", "set", "gateway.port", "0"), 78, "from 1 to 65535"),
    ],
)
def test_what_a_user_can_cause_is_one_sentence(
    words: tuple[str, ...], code: int, says: str, tmp_path: Path
) -> None:
    create_profile("coder", root=tmp_path)
    create_profile("broken", root=tmp_path).home.config.write_text("gateway:\n  port: eight\n")
    done = hermes(*words, home=tmp_path)
    assert done.returncode == code
    assert says in done.stderr
    assert done.stderr.startswith("hermes: ")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_a_home_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = hermes("profile", "create", "coder", home=tmp_path / "file" / "home")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "could not create profile 'coder'" in done.stderr


def test_deleting_without_a_terminal_wants_yes(tmp_path: Path) -> None:
    home = create_profile("coder", root=tmp_path).home
    done = hermes("profile", "delete", "coder", home=tmp_path)
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert home.config.exists()


@pytest.mark.parametrize(
    ("answer", "code", "kept"), [("y", 0, False), ("n", 1, True), ("\x04", 1, True), ("\x03", 130, True)]
)
def test_deleting_on_a_terminal_asks(tmp_path: Path, answer: str, code: int, kept: bool) -> None:
    home = create_profile("coder", root=tmp_path).home
    import pexpect

    asked = pexpect.spawn(
        sys.executable,
        ["-m", "hermes_cli.cli.main", "profile", "delete", "coder"],
        env={**os.environ, "HERMES_HOME": str(tmp_path)},
        encoding="utf-8",
        timeout=20,
    )
    asked.expect_exact("[y/N]")
    asked.send(answer if answer < " " else f"{answer}\r")
    asked.expect(pexpect.EOF)
    asked.close()
    assert "Traceback" not in (asked.before or "")
    assert (asked.exitstatus, home.config.exists()) == (code, kept)


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    for number in range(3):
        create_profile(f"p{number}", root=tmp_path)
    read, write = os.pipe()
    os.close(read)
    done = hermes(
        "profile", "list", home=tmp_path, capture_output=False, stdout=write, stderr=subprocess.PIPE
    )
    os.close(write)
    assert done.returncode == 1
    assert done.stderr == ""


def test_an_interrupt_is_exit_130_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def waits() -> None:
        threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()
        threading.Event().wait(10)

    monkeypatch.setattr(root_module.LazyGroup, "get_command", lambda *_: waits)
    assert root_module.run(["status"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_bug_says_so_and_how_to_see_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def fails() -> None:
        raise KeyError("surprise")

    monkeypatch.delenv("HERMES_DEBUG", raising=False)
    monkeypatch.setattr(root_module.LazyGroup, "get_command", lambda *_: fails)
    assert root_module.run(["status"]) == 70
    said = capsys.readouterr().err
    assert "this is a bug (KeyError: 'surprise')" in said
    assert "Traceback" not in said
    monkeypatch.setenv("HERMES_DEBUG", "1")
    root_module.run(["status"])
    assert "Traceback" in capsys.readouterr().err


def test_a_command_exits_with_the_code_it_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def returns() -> int:
        return 7

    monkeypatch.setattr(root_module.LazyGroup, "get_command", lambda *_: returns)
    assert root_module.run(["chat"]) == 7


def test_no_arguments_on_a_terminal_open_the_text_interface(tmp_path: Path) -> None:
    marker = tmp_path / "opened"
    script = (
        "import sys, types; app = types.ModuleType('hermes_cli.tui.app'); "
        f"app.run = lambda profile: open({str(marker)!r}, 'w').close() or 5; "
        "sys.modules['hermes_cli.tui.app'] = app; "
        "sys.argv = ['hermes']; from hermes_cli.cli.main import main; main()"
    )
    controller, terminal = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", script],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        timeout=30,
        check=False,
    )
    os.close(controller)
    os.close(terminal)
    assert done.returncode == 5
    assert marker.exists()


class TestProfileCommands:
    def test_create_prints_what_to_type_next(self, tmp_path: Path) -> None:
        done = hermes("profile", "create", "coder", home=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "with port 8643" in done.stdout
        assert done.stdout.splitlines()[-1] == "Next: hermes -p coder gateway run"

    def test_a_parked_profile_keeps_its_intent(self, tmp_path: Path) -> None:
        home = create_profile("coder", root=tmp_path).home
        save(home.intent, IntentRecord(intent="running", requested_at=1.0))
        save(home.parked, ParkedRecord(kind="config", reason="port", parked_at=2.0, exit_code=78))
        listed = json.loads(hermes("profile", "list", "--json", home=tmp_path).stdout)["profiles"]
        assert [(one["intent"], one["parked"]) for one in listed] == [("none", False), ("running", True)]
        assert "running, parked" in hermes("profile", "list", home=tmp_path).stdout

    def test_delete_as_json_prints_nothing_else(self, tmp_path: Path) -> None:
        create_profile("coder", root=tmp_path)
        done = hermes("profile", "delete", "coder", "--yes", "--json", home=tmp_path)
        assert json.loads(done.stdout) == {"name": "coder", "deleted": True}

    def test_no_command_prints_the_token(self, tmp_path: Path) -> None:
        said = hermes("profile", "create", "coder", home=tmp_path).stdout
        token = Home("coder", tmp_path).env.read_text().rpartition("=")[2].strip()
        for words in (
            ("profile", "show", "coder", "--json"),
            ("profile", "list", "--json"),
            ("-p", "coder", "config", "get"),
            ("-p", "coder", "config", "check", "--json"),
        ):
            done = hermes(*words, home=tmp_path)
            assert done.returncode == 0
            said += done.stdout + done.stderr
        assert len(token) >= 43
        assert token not in said

    def test_list_as_json(self, tmp_path: Path) -> None:
        create_profile("coder", root=tmp_path)
        listed = json.loads(hermes("profile", "list", "--json", home=tmp_path).stdout)
        assert [(one["name"], one["port"], one["intent"]) for one in listed["profiles"]] == [
            ("default", 8642, "none"),
            ("coder", 8643, "none"),
        ]

    def test_list_warns_of_strays_without_passing_on_their_escape_codes(self, tmp_path: Path) -> None:
        (tmp_path / "profiles" / "\x1b[31mred\n").mkdir(parents=True)
        done = hermes("profile", "list", home=tmp_path)
        assert done.returncode == 0
        assert "\x1b" not in done.stderr
        assert len(done.stderr.splitlines()) == 1

    def test_list_finishes_what_was_interrupted_and_says_so(self, tmp_path: Path) -> None:
        (tmp_path / "profiles" / ".coder.new").mkdir(parents=True)
        done = hermes("profile", "list", home=tmp_path)
        assert "half made" in done.stderr
        assert list((tmp_path / "profiles").iterdir()) == []

    def test_show_says_what_is_known(self, tmp_path: Path) -> None:
        create_profile("coder", root=tmp_path)
        shown = json.loads(hermes("profile", "show", "coder", "--json", home=tmp_path).stdout)
        assert (shown["name"], shown["port"], shown["token"], shown["config_error"]) == (
            "coder",
            8643,
            "set",
            None,
        )

    def test_rename(self, tmp_path: Path) -> None:
        create_profile("coder", root=tmp_path)
        assert hermes("profile", "rename", "coder", "writer", home=tmp_path).returncode == 0
        assert Home("writer", tmp_path).config.exists()


class TestConfigCommands:
    def test_get_prints_the_plain_value(self, tmp_path: Path) -> None:
        create_profile("coder", root=tmp_path)
        assert hermes("-p", "coder", "config", "get", "gateway.port", home=tmp_path).stdout == "8643\n"
        out = hermes("-p", "coder", "config", "get", "gateway.port", "--json", home=tmp_path).stdout
        assert json.loads(out) == 8643

    def test_set_is_what_get_says(self, tmp_path: Path) -> None:
        create_profile("coder", root=tmp_path)
        assert (
            hermes("-p", "coder", "config", "set", "gateway.drain_timeout", "3.5", home=tmp_path).returncode
            == 0
        )
        assert (
            hermes("-p", "coder", "config", "get", "gateway.drain_timeout", home=tmp_path).stdout == "3.5\n"
        )

    def test_path(self, tmp_path: Path) -> None:
        told = hermes("config", "path", "--json", home=tmp_path).stdout
        assert json.loads(told) == {"path": f"{tmp_path}/config.yaml"}
        assert hermes("config", "path", home=tmp_path).stdout == f"{tmp_path}/config.yaml\n"

    def test_check_lists_everything_and_exits_78(self, tmp_path: Path) -> None:
        home = create_profile("coder", root=tmp_path).home
        home.config.write_text("gateway:\n  prot: 1\n  port: x\n  host: 5\n")
        home.env.chmod(0o644)
        done = hermes("-p", "coder", "config", "check", home=tmp_path)
        assert done.returncode == 78
        assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
            "error",
            "error",
            "warning",
            "warning",
        ]

    def test_check_finds_a_port_that_another_profile_has(self, tmp_path: Path) -> None:
        create_profile("a", root=tmp_path)
        create_profile("b", root=tmp_path).home.config.write_text("gateway:\n  port: 8643\n")
        done = hermes("-p", "b", "config", "check", "--json", home=tmp_path)
        assert done.returncode == 78
        assert "'a'" in json.loads(done.stdout)["errors"][0]["message"]

    def test_check_of_a_new_profile_finds_nothing(self, tmp_path: Path) -> None:
        create_profile("coder", root=tmp_path)
        done = hermes("-p", "coder", "config", "check", home=tmp_path)
        assert (done.returncode, done.stdout) == (0, f"{tmp_path}/profiles/coder/config.yaml is fine.\n")

    def test_sets_at_the_same_time_lose_nothing(self, tmp_path: Path) -> None:
        create_profile("coder", root=tmp_path)
        settings = {
            "gateway.port": "9001",
            "gateway.drain_timeout": "5.0",
            "dashboard.port": "9002",
            "gateway.host": "::1",
        }
        running = [
            subprocess.Popen(
                [sys.executable, "-m", "hermes_cli.cli.main", "-p", "coder", "config", "set", key, value],
                env={**os.environ, "HERMES_HOME": str(tmp_path)},
                stdout=subprocess.DEVNULL,
            )
            for key, value in settings.items()
        ]
        assert [one.wait(timeout=30) for one in running] == [0, 0, 0, 0]
        told = json.loads(hermes("-p", "coder", "config", "get", "--json", home=tmp_path).stdout)
        assert {key: str(told[key]["value"]) for key in settings} == settings
