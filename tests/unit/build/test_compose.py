"""compose.yaml makes the container that `hermes up` makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hermes_cli.host import settings

ROOT = Path(__file__).parents[3]


@pytest.fixture
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return loaded


def ports(ranges: list[str]) -> set[tuple[str, int]]:
    found = set()
    for text in ranges:
        address, outside, inside = text.rsplit(":", 2)
        assert outside == inside
        first, _, last = outside.partition("-")
        found |= {(address, port) for port in range(int(first), int(last or first) + 1)}
    return found


def test_name_volume_ports_and_patience_are_those_of_hermes_up(compose: dict[str, Any]) -> None:
    service = compose["services"]["hermes"]
    assert service["container_name"] == settings.DEFAULT_NAME
    assert service["volumes"] == [f"data:{settings.HOME}"]
    assert compose["volumes"]["data"]["name"] == settings.DEFAULT_VOLUME
    assert service["image"] == f"${{HERMES_IMAGE:-{settings.LOCAL_IMAGE}}}"
    assert service["stop_grace_period"] == f"{settings.STOP_TIMEOUT}s"
    wanted = settings.parse_ports(settings.DEFAULT_PORTS)
    assert ports(service["ports"]) == {(settings.DEFAULT_ADDRESS, port) for port in wanted}
