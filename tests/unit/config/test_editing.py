"""`config set` changes one setting and nothing else."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_cli.config import ConfigError, load_config
from hermes_cli.config.editing import UnknownKeyError, parse_value, set_value
from hermes_cli.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home("coder", tmp_path)
    home.path.mkdir(parents=True)
    home.config.write_text("# top\ngateway:\n  # why this port\n  port: 8700 # beside\n  host: '10.0.0.1'\n")
    return home


def test_comments_quotes_and_order_stay(home: Home) -> None:
    set_value(home, "gateway.port", 8701)
    assert home.config.read_text() == (
        "# top\ngateway:\n  # why this port\n  port: 8701 # beside\n  host: '10.0.0.1'\n"
    )


def test_a_section_that_is_not_there_is_added(home: Home) -> None:
    set_value(home, "dashboard.port", 9200)
    assert home.config.read_text().startswith("# top\n")
    config = load_config(home, {})
    assert (config.gateway.port, config.dashboard.port) == (8700, 9200)


def test_a_file_of_comments_keeps_them(home: Home) -> None:
    home.config.write_text("# only\n# comments\n")
    set_value(home, "gateway.port", 9000)
    assert home.config.read_text() == "# only\n# comments\ngateway:\n  port: 9000\n"


def test_an_empty_section_is_filled(home: Home) -> None:
    home.config.write_text("gateway:\n# the end\n")
    set_value(home, "gateway.port", 9000)
    assert load_config(home, {}).gateway.port == 9000
    assert "# the end" in home.config.read_text()


def test_a_key_nobody_knows_is_refused_with_the_nearest(home: Home) -> None:
    with pytest.raises(UnknownKeyError, match=r"did you mean 'gateway\.port'"):
        set_value(home, "gateway.prot", 1)


def test_a_secret_is_not_written_into_config_yaml(home: Home) -> None:
    with pytest.raises(UnknownKeyError, match=r"\.env"):
        set_value(home, "gateway.token", "x")


@pytest.mark.parametrize(
    ("key", "text"),
    [("gateway.port", "0"), ("gateway.port", "70000"), ("gateway.port", "eight"), ("gateway.port", ""),
     ("gateway.port", "80.5"), ("gateway.drain_timeout", "26"), ("gateway.drain_timeout", "nan"),
     ("gateway.host", ""), ("gateway.host", "a b"),
     ("tools.approved_commands", "a; b"), ("tools.approved_commands", "A"),
     ("tools.approved_commands", ",a")],
)  # fmt: skip
def test_a_value_the_setting_cannot_have_is_refused(home: Home, key: str, text: str) -> None:
    with pytest.raises(ConfigError, match="expected"):
        parse_value(key, text, home.config)


@pytest.mark.parametrize("host", ["yes", "1.5", "80", "null", "0x10", "::1", "1:20", "2026-01-01"])
def test_a_host_that_yaml_would_take_for_something_else_comes_back_as_it_was(home: Home, host: str) -> None:
    set_value(home, "gateway.host", parse_value("gateway.host", host, home.config))
    assert load_config(home, {}).gateway.host == host


def test_kinds_of_commands_are_added_and_taken_away_as_one_text(home: Home) -> None:
    for text in ("recursive_delete", "recursive_delete, force_push", "null", "yes, no", "1_0", ""):
        set_value(home, "tools.approved_commands", parse_value("tools.approved_commands", text, home.config))
        assert load_config(home, {}).tools.approved == frozenset(text.replace(",", "").split())
    assert "port: 8700 # beside" in home.config.read_text()


def test_a_broken_file_is_left_as_it_is(home: Home) -> None:
    home.config.write_text("gateway: [\n")
    with pytest.raises(ConfigError, match="not valid YAML"):
        set_value(home, "gateway.port", 9000)
    assert home.config.read_text() == "gateway: [\n"


def test_one_wrong_setting_can_be_mended(home: Home) -> None:
    home.config.write_text("gateway:\n  port: eight\n  host: localhost\n")
    set_value(home, "gateway.port", 9000)
    assert load_config(home, {}).gateway.port == 9000


def test_a_link_is_refused_rather_than_replaced(home: Home, tmp_path: Path) -> None:
    real = tmp_path / "mounted.yaml"
    home.config.rename(real)
    home.config.symlink_to(real)
    with pytest.raises(ConfigError, match="edit that file instead"):
        set_value(home, "gateway.port", 9000)
    assert home.config.is_symlink()
    assert "8700" in real.read_text()


def test_the_mode_of_the_file_stays(home: Home) -> None:
    home.config.chmod(0o640)
    set_value(home, "gateway.port", 9000)
    assert stat.S_IMODE(home.config.stat().st_mode) == 0o640


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = home.config.read_text()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        set_value(home, "gateway.port", 9000)
    assert home.config.read_text() == before
    assert [path.name for path in home.path.iterdir()] == ["config.yaml"]


@given(
    port=st.integers(1, 65535), drain=st.floats(0, 25), comment=st.text("abc #:'\"{}[]&*!|>%@`", max_size=20)
)
def test_what_was_set_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, port: int, drain: str | float, comment: str
) -> None:
    home = Home("default", tmp_path_factory.mktemp("set"))
    home.config.write_text(f"# {comment}\ngateway: # {comment}\n  host: a # {comment}\n")
    set_value(home, "gateway.port", port)
    drain = parse_value("gateway.drain_timeout", str(drain), home.config)
    set_value(home, "gateway.drain_timeout", drain)
    config = load_config(home, {})
    assert (config.gateway.port, config.gateway.drain_timeout, config.gateway.host) == (port, drain, "a")
    assert home.config.read_text().count(f"# {comment}".rstrip()) >= 3
