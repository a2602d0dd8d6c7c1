"""What a specification becomes in systemd: read back by its manual's rules, and as the golden files."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_cli.service_manager import (
    InvalidNameError,
    RestartPolicy,
    ServiceSpec,
    UnsupportedSpecError,
    validate_profile_name,
)
from hermes_cli.service_manager.installed import is_edited
from hermes_cli.service_manager.systemd_layout import Installation, Layout, service_of, unit_name
from hermes_cli.service_manager.systemd_quoting import command_line, environment_file, quoted
from hermes_cli.service_manager.systemd_unit import output_of, render

GOLDEN = Path(__file__).with_name("golden")
USER = Layout("user", Path("/h/.config/systemd/user"), Path("/h/.config/h"), Path("/h/.local/state/h"))
SYSTEM = Layout("system", Path("/etc/systemd/system"), Path("/etc/h"), Path("/var/lib/h"))

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
CARRIED = TEXT.filter(
    lambda text: not any(ord(c) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(c) <= 0xFDEF for c in text)
)
VALUE = CARRIED.map(lambda text: re.sub(r"[\x01-\x08\x0b-\x1f\x7f]", "", text))


def words(line: str) -> list[str]:
    """Split a command line by systemd.syntax(7), "Quoting", and undo the specifiers of systemd.unit(5)."""
    found: list[str] = []
    word: list[str] | None = None
    quote, position = "", 0
    simple = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " "}
    while position < len(line):
        letter = line[position]
        position += 1
        if letter == "\\":
            kind = line[position]
            position += 1
            word = word if word is not None else []
            if kind == "x":
                word.append(chr(int(line[position : position + 2], 16)))
                position += 2
            else:
                assert kind in simple or kind in "\\\"'", f"unknown escape {kind!r}"
                word.append(simple.get(kind, kind))
        elif quote:
            if letter == quote:
                quote = ""
            else:
                assert word is not None
                word.append(letter)
        elif letter in "\"'":
            quote, word = letter, word if word is not None else []
        elif letter in " \t\n\r":
            if word is not None:
                found.append("".join(word))
            word = None
        else:
            word = [*(word or []), letter]
    assert not quote, "a quote is not closed"
    if word is not None:
        found.append("".join(word))
    assert not any(re.search(r"(?<!%)(%%)*%(?!%)", one) for one in found), "a specifier"
    return [one.replace("%%", "%") for one in found]


def variables(text: str) -> dict[str, str]:
    """Read an environment file by systemd.exec(5): double quotes, in which \\ escapes ", \\, ` and $ only."""
    found = {}
    for name, value in re.findall(r'^(\w+)="((?:[^"\\]|\\.)*)"\n', text, re.MULTILINE | re.DOTALL):
        found[name] = re.sub(r'\\(["\\`$])', r"\1", value)
    return found


def spec(*arguments: str, name: str = "web", **fields: object) -> ServiceSpec:
    return ServiceSpec(name, ("/bin/web", *arguments), **fields)  # type: ignore[arg-type]


@given(st.lists(CARRIED))
def test_a_command_line_is_read_back_as_the_words_it_was_made_of(arguments: list[str]) -> None:
    line = command_line(spec(*arguments))
    assert "\n" not in line
    assert words(line) == ["/bin/web", *arguments]


@given(CARRIED)
def test_a_quoted_word_is_never_a_separator_a_specifier_or_a_continuation(word: str) -> None:
    line = quoted(word)
    assert line != ";"
    assert not line.endswith("\\")
    assert words(line) == [word]


@given(st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True), VALUE))
def test_an_environment_file_is_read_back_as_it_was(environment: dict[str, str]) -> None:
    assert variables(environment_file(spec(environment=environment))) == environment


@pytest.mark.parametrize(
    "value", ["\0", "\x01", "\r", "\x1b", "\x7f", "\udc80", "\ufdd0", "\U0001ffff", "x" * 131072]
)
def test_what_systemd_would_leave_out_of_the_environment_is_refused(value: str) -> None:
    with pytest.raises(UnsupportedSpecError) as caught:
        environment_file(spec(environment={"V": value}))
    assert (caught.value.service, caught.value.field) == ("web", "environment")
    with pytest.raises(UnsupportedSpecError, match="variable"):
        environment_file(spec(environment={"a-b": "x"}))


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("command", {"command": ()}),
        ("command", {"command": ("web",)}),
        ("command", {"command": ('/a"b',)}),
        ("command", {"command": ("/a\\b",)}),
        ("command", {"command": ("/a\nb",)}),
        ("command", {"command": ("/a", "x\0y")}),
        ("command", {"command": ("/a", "\udc80")}),
        ("command", {"command": ("/a", *["x" * 100_000] * 11)}),
        ("working_directory", {"working_directory": Path("relative")}),
        ("working_directory", {"working_directory": Path("/a\nUser=root")}),
        ("stdout", {"stdout": Path("relative")}),
        ("stdout", {"stdout": Path("/a\nb")}),
        ("stdout", {"stdout": Path("/a ")}),
        ("user", {"user": "root\nExecStart=x"}),
        ("user", {"user": ""}),
    ],
)  # fmt: skip
def test_what_systemd_cannot_take_is_refused_by_its_field(field: str, changed: dict[str, object]) -> None:
    values: dict[str, object] = {"name": "web", "command": ("/bin/web",), **changed}
    with pytest.raises(UnsupportedSpecError) as caught:
        render(ServiceSpec(**values), SYSTEM, 257)  # type: ignore[arg-type]
    assert caught.value.field == field


def test_a_user_of_ones_own_is_for_the_systems_services() -> None:
    assert "User=alice\n" in render(spec(user="alice"), SYSTEM, 257)[-1].content
    with pytest.raises(UnsupportedSpecError, match="whole system"):
        render(spec(user="alice"), USER, 257)


@given(TEXT)
def test_no_description_gets_out_of_its_line(text: str) -> None:
    unit = render(spec(description=text), USER, 257)[-1].content
    lines = unit.splitlines()
    assert lines[0] == "[Unit]"
    (line,) = [line for line in unit.split("\n") if line.startswith("Description=")]
    assert not line.endswith("\\")
    assert unit.split("\n")[2].startswith("After=")


def test_odd_directories_and_files_keep_their_names() -> None:
    unit = render(spec(working_directory=Path("/a b\\ "), stdout=Path("/l 100%.log")), USER, 257)[-1].content
    assert "WorkingDirectory=/a b\\ /.\n" in unit
    assert output_of(unit) == Path("/l 100%.log")
    assert output_of(render(spec(), USER, 257)[-1].content) is None


def test_an_environment_file_is_private_and_its_path_is_no_pattern() -> None:
    layout = Layout("user", Path("/u"), Path("/c [x] 1%"), Path("/s"))
    environment, *_, unit = render(spec(environment={"A": "secret"}), layout, 257)
    assert (environment.path, environment.mode) == (Path("/c [x] 1%/web.env"), 0o600)
    assert "EnvironmentFile=/c \\[x] 1%%/web.env\n" in unit.content
    assert "secret" not in unit.content


NAMES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,60}", fullmatch=True)


@given(st.lists(NAMES, unique=True, max_size=6))
def test_services_of_different_names_share_no_unit_and_no_file(names: list[str]) -> None:
    services = [f"gateway-{name}" for name in names] + [
        name for name in names if not (name + "-").startswith(("hermes-gateway-", "gateway-"))
    ]
    installations = [Installation(name, USER) for name in dict.fromkeys(services)]
    paths = [path for one in installations for path in (*one.paths, one.marker, one.boot_link)]
    assert len(set(paths)) == len(paths)


def test_units_are_called_as_the_documentation_says() -> None:
    assert unit_name("gateway-default") == "hermes-gateway.service"
    assert unit_name("gateway-coder") == "hermes-gateway-coder.service"
    assert unit_name("web") == "web.service"
    for name in ("hermes-gateway", "hermes-gateway-coder", "../etc", "a b", "web@x", "Web", "", "gateway-"):
        with pytest.raises(InvalidNameError):
            unit_name(name)
    longest = "a" * 224
    validate_profile_name(longest + "a")
    assert len(Installation(f"gateway-{longest}"[:233], USER).parked_unit) <= 255
    with pytest.raises(InvalidNameError, match="too long"):
        unit_name(f"gateway-{longest}aaaaaaaaaaaaaaaa")


@given(NAMES)
def test_a_gateway_is_found_again_by_its_unit_and_nothing_else_is(profile: str) -> None:
    assert service_of(unit_name(f"gateway-{profile}")) == f"gateway-{profile}"
    installation = Installation(f"gateway-{profile}", USER)
    for other in (
        installation.boot_unit,
        installation.parked_unit,
        f"{profile}.service",
        f"hermes-{profile}",
    ):
        assert service_of(other) in (None, f"gateway-{profile}")
    assert service_of(installation.boot_unit) is None
    assert service_of(installation.parked_unit) is None


def test_every_file_is_signed_and_the_service_comes_last() -> None:
    rendered = render(spec(environment={"A": "b"}), USER, 257)
    assert not any(is_edited(file.content) for file in rendered)
    assert [file.path.name for file in rendered] == [
        "web.env", "web.parked.service", "web.boot.service", "web.service",
    ]  # fmt: skip


def test_what_does_not_start_at_boot_has_nothing_to_enable() -> None:
    rendered = render(spec(start_at_boot=False), USER, 257)
    assert not any("[Install]" in file.content for file in rendered)


CASES = {
    "plain": (ServiceSpec("web", ("/bin/web", "-p", "80")), USER, 257),
    "plain-before-254": (ServiceSpec("web", ("/bin/web", "-p", "80")), USER, 252),
    "gateway": (
        ServiceSpec(
            "gateway-coder",
            ("/opt/h/python", "-P", "-m", "hermes_cli.gateway", "coder"),
            description="Hermes gateway of coder",
            environment={"HERMES_HOME": "/h/.hermes"},
            working_directory=Path("/h/.hermes"),
            stop_timeout=90.0,
            keeps_own_ledger=True,
        ),
        USER,
        257,
    ),
    "system": (
        ServiceSpec(
            "echo-server",
            ("/opt/a b/echo", "100%", "$HOME", "it's", 'a "b"\n', ";"),
            description="Écho, 100% sûr",
            environment={"A": 'a "b" $c `d` \\e\nf', "EMPTY": ""},
            stdout=Path("/var/log/echo 100%.log"),
            notify=False,
            kill_children=True,
            start_at_boot=False,
            start_timeout=1.5,
            user="alice",
            restart=RestartPolicy(first_delay=2.0, backoff=(), permanent_exit_codes=(77, 78)),
        ),
        SYSTEM,
        257,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_rendered_files_are_as_the_golden_ones(case: str) -> None:
    """HERMES_GOLDEN=write makes them anew, to be looked at in the diff."""
    made, layout, version = CASES[case]
    text = "".join(
        f"==> {file.path} {file.mode:04o}\n{file.content}\n" for file in render(made, layout, version)
    )
    path = GOLDEN / f"systemd-{case}.txt"
    if os.environ.get("HERMES_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text("utf-8")
