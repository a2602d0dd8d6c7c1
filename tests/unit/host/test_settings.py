"""What `hermes up` makes of its options, and how it compares a container with them."""

from __future__ import annotations

import builtins
import os
from types import MappingProxyType
from typing import Any

import docker
import pytest
import requests
from docker.errors import DockerException
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import ProtocolError

from hermes_cli.host.engine import _PORT_TAKEN, Engine, _split_tag
from hermes_cli.host.errors import HostError, SdkMissingError
from hermes_cli.host.settings import Request, Settings, differences, format_ports, parse_ports, valid_volume

ports = st.sets(st.integers(1, 65535), max_size=60).map(sorted).map(tuple)


@given(ports)
def test_ports_are_read_as_they_are_written(numbers: tuple[int, ...]) -> None:
    assert parse_ports(format_ports(numbers)) == numbers


def test_the_default_ports_are_a_range_of_gateways_and_the_dashboard() -> None:
    settings = Request().new("image")
    assert settings.ports == (*range(8642, 8662), 9119)
    assert format_ports(settings.ports) == "8642-8661,9119"


@pytest.mark.parametrize("text", ["0", "65536", "2-1", "a", "1-", "-1", "1,,2", "1-65535", "\u0661"])
def test_what_is_no_port_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(HostError, match="port"):
        parse_ports(text)


def test_nothing_is_published_when_nothing_is_to_be() -> None:
    assert parse_ports("none") == parse_ports("") == ()


def test_the_files_belong_to_the_caller_unless_it_is_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    monkeypatch.setattr(os, "getgid", lambda: 1001)
    assert Request().new("i").environment == {"HERMES_UID": "1000", "HERMES_GID": "1001"}
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert Request().new("i").environment == {}


def test_what_is_not_named_is_no_difference() -> None:
    existing = Settings("old", "data", (1, 2), "0.0.0.0", {"A": "1"})
    assert differences(existing, Request().applied_to(existing)) == []


def test_differences_are_named_without_the_values_of_variables() -> None:
    existing = Settings("old", "data", (1, 2), "127.0.0.1", {"TOKEN": "secret", "SAME": "1"})
    request = Request("new", "other", (3,), "0.0.0.0", {"TOKEN": "hidden", "MORE": "hidden", "SAME": "1"})
    found = differences(existing, request.applied_to(existing))
    assert found == [
        "image old, not new",
        "volume data, not other",
        "address 127.0.0.1, not 0.0.0.0",
        "ports 1-2, not 3",
        "TOKEN has another value",
        "MORE is not set",
    ]


def test_settings_are_read_back_from_a_container() -> None:
    container: dict[str, Any] = {
        "Config": {"Image": "hermes:dev", "Env": ["PATH=/bin", "A=x=y", "CHANGED=mine"]},
        "HostConfig": {
            "PortBindings": {
                "8643/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8643"}],
                "8642/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8642"}],
            }
        },
        "Mounts": [
            {"Type": "volume", "Name": "hermes-data", "Source": "/var/x", "Destination": "/opt/data"},
            {"Type": "bind", "Source": "/etc/x", "Destination": "/etc/x"},
        ],
    }
    settings = Settings.of(MappingProxyType(container), ["PATH=/bin", "CHANGED=theirs"])
    assert settings == Settings(
        "hermes:dev", "hermes-data", (8642, 8643), "127.0.0.1", {"A": "x=y", "CHANGED": "mine"}
    )


def test_a_directory_as_volume_is_made_absolute_and_a_name_is_left(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert valid_volume("./data") == str(tmp_path / "data")
    assert valid_volume("hermes-data") == "hermes-data"
    with pytest.raises(HostError, match="colon"):
        valid_volume("/a:b")


@pytest.mark.parametrize(
    "words",
    [
        "driver failed programming external connectivity on endpoint x (abc): "
        "Bind for 127.0.0.1:8642 failed: port is already allocated",
        "driver failed programming external connectivity on endpoint x (abc): Error starting userland proxy: "
        "listen tcp4 127.0.0.1:8642: bind: address already in use",
        "failed to set up container networking: driver failed programming external connectivity on "
        "endpoint x: failed to bind host port for 127.0.0.1:8642:172.17.0.2:8642/tcp: address already in use",
    ],
    ids=["another container", "a program", "engine 28"],
)
def test_a_taken_port_is_recognised_in_the_words_of_the_engine(words: str) -> None:
    found = _PORT_TAKEN.search(words)
    assert found is not None
    assert found[1] == "8642"


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("hermes:dev", ("hermes", "dev")),
        ("hermes", ("hermes", "latest")),
        ("localhost:5000/hermes", ("localhost:5000/hermes", "latest")),
        ("ghcr.io/a/b:1.2", ("ghcr.io/a/b", "1.2")),
        ("ghcr.io/a/b@sha256:00", ("ghcr.io/a/b@sha256:00", None)),
    ],
)
def test_a_pull_names_one_tag(image: str, parts: tuple[str, str | None]) -> None:
    assert _split_tag(image) == parts


@pytest.mark.parametrize(
    ("cause", "sentence"),
    [
        (PermissionError(13, "Permission denied"), "may not talk to the Docker engine"),
        (FileNotFoundError(2, "No such file or directory"), r"no Docker engine answers \(No such file"),
        (ConnectionRefusedError(111, "Connection refused"), r"no Docker engine answers \(Connection refused"),
    ],
)
def test_why_the_engine_cannot_be_reached_is_found_below_the_sdks_exceptions(
    monkeypatch: pytest.MonkeyPatch, cause: OSError, sentence: str
) -> None:
    def from_env(**_options: Any) -> None:
        # As the SDK nests them: urllib3's ProtocolError in requests' ConnectionError in its own.
        wrapped = requests.exceptions.ConnectionError(ProtocolError("Connection aborted.", cause))
        raise DockerException(f"Error while fetching server API version: {wrapped}") from wrapped

    monkeypatch.setattr(docker, "from_env", from_env)
    with pytest.raises(HostError, match=sentence) as caught:
        Engine.connect()
    assert len(str(caught.value).splitlines()) == 1


def test_without_the_sdk_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_docker(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "docker":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_docker)
    with pytest.raises(SdkMissingError, match=r"pip install 'hermes-cli\[docker\]'"):
        Engine.connect()
