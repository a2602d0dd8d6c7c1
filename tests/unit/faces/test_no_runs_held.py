"""Faces hold nothing of any run: what they know, they ask the gateway."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3] / "hermes_cli"
FACES = sorted(
    file for place in ("cli", "dashboard", "tui", "faces") for file in (ROOT / place).rglob("*.py")
) + sorted((ROOT / "gateway").glob("*client.py"))

_OWNERS = ("hermes_cli.runs.", "hermes_cli.agents.")
"""What executes and keeps runs; only the gateway has it."""
_SHAPES = {"hermes_cli.runs.types", "hermes_cli.runs.errors"}
_KEYED = ("run", "stream", "execution", "session", "child")


@pytest.mark.parametrize("file", FACES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_face_keeps_a_map_of_runs_or_what_executes_them(file: Path) -> None:
    tree = ast.parse(file.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            held = node.module.startswith(_OWNERS) and node.module not in _SHAPES
            assert not held, f"line {node.lineno} imports {node.module}"
    for name, value in _kept(tree):
        keyed = any(word in name.lower() for word in _KEYED)
        assert not (keyed and _is_a_growing_map(value)), f"line {value.lineno}: {name} is a map"


def test_the_test_sees_a_map() -> None:
    for text in ("_runs = {}", "class A:\n def __init__(self):\n  self._streams: dict[str, int] = {}"):
        found = [name for name, value in _kept(ast.parse(text)) if _is_a_growing_map(value)]
        assert found, text


def _kept(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """What outlives a call: names of the module and of classes, and attributes wherever they are set."""
    lasting = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            lasting |= {id(one) for one in node.body}
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
            continue
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Attribute):
                yield target.attr, node.value
            elif isinstance(target, ast.Name) and id(node) in lasting:
                yield target.id, node.value


def _is_a_growing_map(value: ast.expr) -> bool:
    """`{}`, `dict()`, `defaultdict(…)`, `WeakValueDictionary()`: what is filled as runs come."""
    if isinstance(value, ast.Dict):
        return not value.keys
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, (ast.Name, ast.Attribute))
        and (value.func.id if isinstance(value.func, ast.Name) else value.func.attr)
        in {"dict", "defaultdict", "OrderedDict", "WeakValueDictionary", "WeakKeyDictionary"}
    )
