"""The examples of docs/service-manager.md do what they say, on real s6."""

from __future__ import annotations

import dataclasses
import re

import pytest

from hermes_cli import service_manager
from hermes_cli.service_manager import RestartPolicy, ServiceSpec, ServiceStatus
from tests.integration.s6.tree import REPOSITORY, Tree

PAGE = (REPOSITORY / "docs/service-manager.md").read_text()


def test_the_examples_run(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    manager = tree.manager()
    monkeypatch.setattr(service_manager, "get_service_manager", lambda: manager)
    examples = re.findall(r"^```python\n# s6.*?\n(.*?)^```", PAGE, re.M | re.S)
    assert len(examples) == 2
    names: dict[str, object] = {}
    for example in examples:
        exec(compile(example, "docs/service-manager.md", "exec"), names)
    assert capsys.readouterr().out.startswith("ready ")


@pytest.mark.parametrize("kind", [ServiceSpec, RestartPolicy, ServiceStatus])
def test_every_field_is_in_the_tables(kind: type) -> None:
    rows = "\n".join(line.split("|")[1] for line in PAGE.splitlines() if line.startswith("|"))
    names = {field.name for field in dataclasses.fields(kind)} - {"detail"}  # the init's own words
    assert not [name for name in names if f"`{name}`" not in rows]


def test_every_error_is_in_its_table() -> None:
    for name in service_manager.__all__:
        if name.endswith("Error"):
            assert f"| `{name}" in PAGE, name
