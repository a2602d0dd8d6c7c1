"""The dashboard is never served to everybody by mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from hermes_cli.config import ConfigError
from hermes_cli.dashboard.settings import RefusedError, load_settings


def test_without_any_setting_it_serves_this_machine_only(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, {})
    assert (settings.host, settings.port, settings.guarded) == ("127.0.0.1", 9119, False)
    assert settings.url == "http://127.0.0.1:9119/"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])
def test_beyond_loopback_it_wants_a_password_and_says_where_to_put_it(tmp_path: Path, host: str) -> None:
    with pytest.raises(RefusedError, match=r"HERMES_DASHBOARD_PASSWORD or HERMES_DASHBOARD_TOKEN in .*\.env"):
        load_settings(tmp_path, {"HERMES_DASHBOARD_HOST": host})


@pytest.mark.parametrize("secret", ["HERMES_DASHBOARD_PASSWORD", "HERMES_DASHBOARD_TOKEN"])
def test_a_password_or_a_token_opens_it(tmp_path: Path, secret: str) -> None:
    assert load_settings(tmp_path, {"HERMES_DASHBOARD_HOST": "0.0.0.0", secret: "s3cret"}).guarded


def test_an_empty_password_is_none(tmp_path: Path) -> None:
    with pytest.raises(RefusedError):
        load_settings(tmp_path, {"HERMES_DASHBOARD_HOST": "0.0.0.0", "HERMES_DASHBOARD_PASSWORD": ""})


def test_the_env_file_of_default_counts(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HERMES_DASHBOARD_TOKEN=from-file\n")
    assert load_settings(tmp_path, {}).credentials.token == "from-file"


def test_secrets_do_not_show_in_a_traceback(tmp_path: Path) -> None:
    names = ("PASSWORD", "TOKEN", "READ_PASSWORD", "READ_TOKEN")
    environ = {f"HERMES_DASHBOARD_{name}": f"hunter-{name}" for name in names}
    assert "hunter" not in repr(load_settings(tmp_path, environ))


@pytest.mark.parametrize("name", ["HERMES_DASHBOARD_READ_PASSWORD", "HERMES_DASHBOARD_READ_TOKEN"])
def test_what_readers_get_must_not_be_the_operators(tmp_path: Path, name: str) -> None:
    for operators in ("HERMES_DASHBOARD_PASSWORD", "HERMES_DASHBOARD_TOKEN"):
        with pytest.raises(RefusedError, match=f"{name} is the operator's"):
            load_settings(tmp_path, {operators: "one", name: "one"})
    settings = load_settings(tmp_path, {"HERMES_DASHBOARD_PASSWORD": "one", name: "two"})
    assert settings.credentials.role("two") == "reader"


@pytest.mark.parametrize("name", ["HERMES_DASHBOARD_READ_PASSWORD", "HERMES_DASHBOARD_READ_TOKEN"])
def test_readers_alone_make_it_a_dashboard_to_look_at(tmp_path: Path, name: str) -> None:
    settings = load_settings(tmp_path, {"HERMES_DASHBOARD_HOST": "0.0.0.0", name: "look"})
    assert settings.guarded
    assert settings.credentials.role("look") == "reader"


def test_the_port_comes_from_the_file_before_the_environment(tmp_path: Path) -> None:
    environ = {"HERMES_DASHBOARD_PORT": "9200"}
    assert load_settings(tmp_path, environ).port == 9200
    (tmp_path / "config.yaml").write_text("dashboard:\n  port: 9300\n")
    assert load_settings(tmp_path, environ).port == 9300
    assert load_settings(tmp_path, environ, port=9400).port == 9400


@pytest.mark.parametrize("key", ["password", "token", "read_password", "read_token"])
def test_a_secret_in_config_yaml_is_refused(tmp_path: Path, key: str) -> None:
    (tmp_path / "config.yaml").write_text(f"dashboard:\n  {key}: oops\n")
    with pytest.raises(ConfigError, match=f"HERMES_DASHBOARD_{key.upper()}"):
        load_settings(tmp_path, {})


@pytest.mark.parametrize(
    ("given", "kept"),
    [("", ""), ("/", ""), ("/hermes/", "/hermes"), ("a/b", "/a/b"), ("/a-b_c.d~e", "/a-b_c.d~e")],
)
def test_a_proxys_path_is_taken_with_or_without_slashes(tmp_path: Path, given: str, kept: str) -> None:
    assert load_settings(tmp_path, {}, root_path=given).root_path == kept


@pytest.mark.parametrize("path", ["/../x", "//evil.example", "/a b", '/"x', "/a?b", "/a\n"])
def test_a_path_that_is_none_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(RefusedError, match="HERMES_DASHBOARD_ROOT_PATH"):
        load_settings(tmp_path, {}, root_path=path)


def test_a_host_that_does_not_exist_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"dashboard\.host 'no\.such\.invalid'[^\[\]]*$"):
        load_settings(tmp_path, {"HERMES_DASHBOARD_HOST": "no.such.invalid"})
