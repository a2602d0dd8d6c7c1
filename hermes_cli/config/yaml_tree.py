"""Any YAML text as entries with places, by PyYAML, with its complaints in plain words."""

from __future__ import annotations

from pathlib import Path

import yaml
from yaml.constructor import SafeConstructor

from .errors import ConfigError
from .tree import Entry, Foreign

_MAX_DEPTH = 20
"""Levels of nesting. No setting lies deeper than three."""


def parse(text: str, path: Path) -> list[Entry]:
    """The entries of the mapping in `text`; raises `ConfigError` for anything else."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        what = f"holds the character U+{ord(text[error.position]):04X}, which YAML does not allow"
        raise ConfigError(path, what, line=line, column=column, expected="text") from error
    except yaml.MarkedYAMLError as error:
        raise _in_words(error, path) from error
    except RecursionError as error:
        raise ConfigError(path, "is nested too deeply to be a configuration") from error
    if node is None:
        return []
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(
            path,
            f"expected 'section:' lines with 'key: value' lines indented below, got {_kind(node)}",
            line=node.start_mark.line + 1,
            column=node.start_mark.column + 1,
            expected="a mapping",
        )
    return _entries(node, path, "", 1)


def _entries(node: yaml.MappingNode, path: Path, prefix: str, depth: int) -> list[Entry]:
    found: dict[str, Entry] = {}
    for key_node, value_node in node.value:
        line, column = key_node.start_mark.line + 1, key_node.start_mark.column + 1
        if not isinstance(key_node, yaml.ScalarNode):
            message = f"a key must be text, got {_kind(key_node)}"
            raise ConfigError(path, message, line=line, column=column, expected="text")
        key = str(key_node.value)
        name = prefix + key
        if key_node.tag == "tag:yaml.org,2002:merge":
            message = "merging with '<<' is not supported; write the keys out"
            raise ConfigError(path, message, line=line, column=column, key=name)
        if key in found:
            message = f"is set twice (first on line {found[key].line}); remove one"
            raise ConfigError(path, message, line=line, column=column, key=name)
        mark = value_node.start_mark
        value = _value(value_node, path, name, depth)
        found[key] = Entry(key, line, column, value, mark.line + 1, mark.column + 1)
    return list(found.values())


def _value(node: yaml.Node, path: Path, name: str, depth: int) -> object:
    if isinstance(node, yaml.MappingNode):
        if depth >= _MAX_DEPTH:
            return Foreign("a mapping")
        return _entries(node, path, f"{name}.", depth + 1)
    if not isinstance(node, yaml.ScalarNode):
        return Foreign(_kind(node))
    try:
        return SafeConstructor().construct_object(node)
    except (yaml.YAMLError, ValueError, LookupError, TypeError, ArithmeticError):
        # What SafeConstructor lets through for a tag that does not fit its value, as in `!!int abc`.
        return Foreign(f"{node.value[:40]!r}, which is no {node.tag.removeprefix('tag:yaml.org,2002:')}")


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return "a mapping" if isinstance(node, yaml.MappingNode) else "a single value"


def _in_words(error: yaml.MarkedYAMLError, path: Path) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "is not YAML"
    if r"'\t'" in problem:
        problem = "a tab cannot indent here; use spaces"
    elif "expected a single document" in (error.context or ""):
        problem = "a second document begins here ('---'); a configuration is one"
    elif problem.startswith("could not find expected ':'"):
        problem = "this line is neither 'key: value' nor a comment"
    elif problem.startswith("mapping values are not allowed"):
        problem = "a second ':' on one line, or an indentation that fits no key above"
    line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
    return ConfigError(path, f"is not valid YAML: {problem}", line=line, column=column)
