"""What a command is started with: its arguments, its environment, the message to its keeper."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_cli.processes.errors import StartError
from hermes_cli.processes.keeper.settings import encode, read_settings
from hermes_cli.processes.liveness import MARK
from hermes_cli.processes.starting import (
    check_directory,
    command_environment,
    command_line,
    other_user,
)
from hermes_cli.processes.types import StartRequest

WORD = st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
NAME = st.text(
    alphabet=st.characters(exclude_characters="\0=", exclude_categories=["Cs"]), min_size=1, max_size=9
)


def sent(message: bytes) -> int:
    read, write = os.pipe()
    os.write(write, message)
    os.close(write)
    return read


@given(st.lists(WORD, min_size=1, max_size=5), st.dictionaries(NAME, WORD, max_size=5), WORD)
def test_settings_arrive_as_they_were_sent(argv: list[str], environment: dict[str, str], cwd: str) -> None:
    message = encode({"id": "proc_1", "cwd": cwd, "pty": 1, "watch": ("a", "re:b")}, argv, environment)
    read = sent(message)
    try:
        settings = read_settings(read)
    finally:
        os.close(read)
    assert settings.argv == [os.fsencode(word) for word in argv]
    assert settings.environment == {os.fsencode(k): os.fsencode(v) for k, v in environment.items()}
    assert (settings.id, settings.cwd, settings.pty) == ("proc_1", os.fsencode(cwd), True)
    assert settings.watch == ["a", "re:b"]


def test_settings_that_were_cut_off_are_refused() -> None:
    message = encode({"id": "proc_1"}, ["true"], {"A": "b"})
    for length in range(len(message)):
        read = sent(message[:length])
        try:
            with pytest.raises(ValueError, match="cut off"):
                read_settings(read)
        finally:
            os.close(read)


@pytest.mark.parametrize(
    ("argv", "environment"),
    [(["a\0b"], {}), (["a"], {"A": "b\0c"}), (["a"], {"": "b"}), (["a"], {"A=B": "c"}), (["\ud800"], {})],
)
def test_what_no_program_can_be_passed_is_refused(argv: list[str], environment: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        encode({"id": "proc_1"}, argv, environment)


def environment(
    inherited: Mapping[str, str], withheld: frozenset[str] = frozenset(), **request: object
) -> dict[str, str]:
    asked = StartRequest(command="true", **request)  # type: ignore[arg-type]
    return command_environment(asked, "proc_0123456789ab", "/work", inherited, withheld)


def test_secrets_and_what_is_between_us_and_our_supervisor_stay_here() -> None:
    inherited = {
        "PATH": "/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "HERMES_HOME": "/opt/data",
        "API_TOKEN": "x",
        "DB_PASSWORD": "x",
        "HERMES_GATEWAY_TOKEN": "x",
        "NOTIFY_SOCKET": "/run/x",
        "LISTEN_FDS": "1",
        "S6_KEEP_ENV": "1",
        "MY_SETTING": "from .env",
    }
    assert environment(inherited, frozenset({"MY_SETTING"})) == {
        "PATH": "/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "HERMES_HOME": "/opt/data",
        "PYTHONUNBUFFERED": "1",
        "TERM": "dumb",
        "PWD": "/work",
        MARK: "proc_0123456789ab",
    }


def test_what_the_request_names_passes() -> None:
    found = environment(
        {"API_TOKEN": "x", "MY_SETTING": "y", "OTHER_TOKEN": "z"},
        frozenset({"MY_SETTING"}),
        passthrough=("API_TOKEN", "MY_SETTING"),
        environment={"OTHER_TOKEN": "own", "PYTHONUNBUFFERED": ""},
    )
    assert (found["API_TOKEN"], found["MY_SETTING"], found["OTHER_TOKEN"]) == ("x", "y", "own")
    assert found["PYTHONUNBUFFERED"] == ""


def test_the_mark_cannot_be_asked_away() -> None:
    assert environment({}, environment={MARK: "proc_ffffffffffff"})[MARK] == "proc_0123456789ab"


@pytest.mark.parametrize(
    ("term", "pty", "expected"),
    [
        ("xterm", False, "dumb"),
        ("screen", True, "screen"),
        ("dumb", True, "xterm-256color"),
        ("", True, "xterm-256color"),
    ],
)
def test_a_terminal_has_a_name_that_programs_know(term: str, pty: bool, expected: str) -> None:
    found = environment({"TERM": term, "LINES": "5", "COLUMNS": "9", "OLDPWD": "/x"}, pty=pty)
    assert found["TERM"] == expected
    assert not {"LINES", "COLUMNS", "OLDPWD"} & found.keys()


@pytest.mark.parametrize(
    ("request_", "argv", "shown"),
    [
        (StartRequest(command="echo $HOME | wc"), ("/bin/sh", "-c", "echo $HOME | wc"), "echo $HOME | wc"),
        (StartRequest(command="x", shell="/bin/bash"), ("/bin/bash", "-c", "x"), "x"),
        (StartRequest(argv=("echo", "a b")), ("echo", "a b"), "echo 'a b'"),
    ],
)
def test_a_line_goes_to_a_shell_and_a_list_does_not(
    request_: StartRequest, argv: tuple[str, ...], shown: str
) -> None:
    assert command_line(request_) == (argv, shown)


@pytest.mark.parametrize(
    "request_",
    [
        StartRequest(),
        StartRequest(command="x", argv=("x",)),
        StartRequest(command=" \n"),
        StartRequest(argv=()),
        StartRequest(argv=("",)),
    ],
)
def test_no_command_and_two_commands_are_refused(request_: StartRequest) -> None:
    with pytest.raises(StartError):
        command_line(request_)


@pytest.mark.parametrize(
    ("cwd", "cause"),
    [("relative", "not absolute"), ("/nowhere/at/all", "does not exist"), ("/etc/passwd", "no directory")],
)
def test_a_working_directory_that_is_none_is_refused_with_its_cause(cwd: str, cause: str) -> None:
    with pytest.raises(StartError, match=cause):
        check_directory(cwd)


def test_ourselves_are_no_other_user_and_nobody_unknown_is_one(tmp_path: Path) -> None:
    assert other_user(None) is None
    assert other_user(str(os.geteuid())) is None
    for unknown in ("no-such-user-here", "4000000000", "9" * 40):
        with pytest.raises(StartError, match="no user"):
            other_user(unknown)
