"""Another text in the place of a config.yaml: right, in one step, and never over somebody else's change."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from hermes_cli.config import ConfigError
from hermes_cli.faces.config_file import ChangedError, WrongTextError, check_file, masked, read_whole, replace
from hermes_cli.home import Home

TEXT = "# mine\ngateway:\n  port: 8700  # as agreed\n"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home.of("coder", tmp_path)
    made.path.mkdir(parents=True)
    made.config.write_text(TEXT)
    made.env.write_text("HERMES_GATEWAY_TOKEN=correct-horse-battery-staple\n")
    made.env.chmod(0o600)
    return made


def test_the_text_is_replaced_with_its_comments_and_its_mode(home: Home) -> None:
    home.config.chmod(0o640)
    new = TEXT.replace("8700", "8701") + "# more"
    assert replace(home, new, read_whole(home).version).warnings == []
    assert home.config.read_text() == new + "\n"
    assert stat.S_IMODE(home.config.stat().st_mode) == 0o640


def test_lines_end_as_they_did(home: Home) -> None:
    home.config.write_bytes(TEXT.replace("\n", "\r\n").encode())
    replace(home, TEXT.replace("8700", "8701"), read_whole(home).version)
    assert home.config.read_bytes() == TEXT.replace("8700", "8701").replace("\n", "\r\n").encode()


def test_a_change_in_between_is_not_overwritten(home: Home) -> None:
    version = read_whole(home).version
    home.config.write_text("gateway:\n  port: 8800\n")
    with pytest.raises(ChangedError):
        replace(home, TEXT, version)
    home.config.unlink()
    with pytest.raises(ChangedError):
        replace(home, TEXT, version)
    assert not home.config.exists()
    replace(home, TEXT, read_whole(home).version)
    assert home.config.read_text() == TEXT


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("gateway:\n  port: many\n", 2, "gateway.port"),
        ("gateway: [\n", None, None),
        ("", 1, None),
        ("gateway:\n  port: 8700\n  token: x\n", 3, "gateway.token"),
    ],
)
def test_nothing_wrong_is_written_and_the_place_is_named(
    home: Home, text: str, line: int | None, key: str | None
) -> None:
    with pytest.raises(WrongTextError) as wrong:
        replace(home, text, read_whole(home).version)
    [error] = wrong.value.found.errors
    assert error.key == key
    assert line in (None, error.line)
    assert home.config.read_text() == TEXT


def test_a_port_of_another_profile_is_refused_with_its_name(home: Home) -> None:
    other = Home.of("other", home.root)
    other.path.mkdir()
    other.config.write_text("gateway:\n  port: 8900\n")
    with pytest.raises(WrongTextError, match="8900 belongs to profile 'other' too"):
        replace(home, "gateway:\n  port: 8900\n", read_whole(home).version)


def test_a_broken_env_does_not_keep_the_file_from_being_mended(home: Home) -> None:
    home.env.write_text("this is no assignment\n")
    replace(home, TEXT.replace("8700", "8701"), read_whole(home).version)
    assert "8701" in home.config.read_text()


def test_a_link_is_left_alone(home: Home, tmp_path: Path) -> None:
    elsewhere = tmp_path / "provided.yaml"
    home.config.rename(elsewhere)
    home.config.symlink_to(elsewhere)
    with pytest.raises(ConfigError, match="is a link to"):
        replace(home, "gateway:\n  port: 8701\n", read_whole(home).version)
    assert elsewhere.read_text() == TEXT


def test_what_is_odd_about_the_secrets_is_said(home: Home) -> None:
    home.env.write_text("")
    home.env.chmod(0o644)
    found = check_file(home)
    assert not found.errors
    assert ["no HERMES_GATEWAY_TOKEN" in warning for warning in found.warnings] == [True, False]
    assert "others may read it (mode 0644)" in found.warnings[1]


def test_those_who_may_only_read_see_no_secret(home: Home) -> None:
    text = "a: correct-horse-battery-staple\nmy_api_key: 'abc def'\n  - token : x\nport: 8700\nkeys: 3\n"
    shown = masked(home, text).splitlines()
    assert shown == [
        "a: [redacted]",
        "my_api_key: [redacted]",
        "  - token : [redacted]",
        "port: 8700",
        "keys: 3",
    ]
