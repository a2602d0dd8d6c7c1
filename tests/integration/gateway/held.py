"""What is reachable from the modules of the faces: where in it an id or a child stands."""

from __future__ import annotations

import gc
import re
import subprocess
import sys
from asyncio import AbstractEventLoop
from asyncio import subprocess as aio
from collections.abc import Iterable, Iterator
from functools import _lru_cache_wrapper
from types import (
    BuiltinFunctionType,
    CodeType,
    FrameType,
    FunctionType,
    MethodType,
    ModuleType,
    TracebackType,
)
from typing import Any

FACES = ("hermes_cli.cli", "hermes_cli.dashboard", "hermes_cli.tui", "hermes_cli.faces")
CLIENTS = re.compile(r"hermes_cli\.gateway\.(\w*client|asking|resuming|follow)")

_CHILDREN = (subprocess.Popen, aio.Process)
_NOTHING = (int, float, complex, bool, type(None), range, slice, CodeType, re.Pattern)
_ELSEWHERE = (ModuleType, FrameType, TracebackType, BuiltinFunctionType, AbstractEventLoop)
"""They lead to everything: other modules, this test, requests under way."""
_OTHERS = frozenset({"logging", "_pytest", "pytest", "threading", "_thread", "gc", "tests"})


def face_modules() -> list[ModuleType]:
    """Those that are loaded."""
    return [
        module
        for name, module in sorted(sys.modules.items())
        if name in FACES or name.startswith(tuple(f"{face}." for face in FACES)) or CLIENTS.fullmatch(name)
    ]


def held(ids: Iterable[str], *objects: Any) -> list[str]:
    """Paths to texts with one of `ids` in them, and to child processes.

    From the names of the faces' modules on, and from `objects`, through containers, instances, classes, and
    what functions have closed over.
    """
    wanted = re.compile("|".join(map(re.escape, ids)))
    found: list[str] = []
    seen: dict[int, Any] = {}  # with the things themselves: no two have one address while both live
    todo: list[tuple[str, Any]] = [(type(one).__name__, one) for one in objects]
    for module in face_modules():
        todo += [(f"{module.__name__}.{name}", value) for name, value in list(vars(module).items())]
    while todo:
        path, one = todo.pop()
        if isinstance(one, (str, bytes, bytearray)):
            text = one if isinstance(one, str) else one.decode("latin-1")
            if wanted.search(text):
                found.append(f"{path}: {text[:80]!r}")
        elif isinstance(one, _CHILDREN):
            found.append(f"{path}: {one!r}")
        elif not isinstance(one, (*_NOTHING, *_ELSEWHERE)) and id(one) not in seen:
            seen[id(one)] = one
            todo += [(f"{path}{step}", below) for step, below in _below(one)]
    return sorted(found)


def _below(one: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(one, dict):
        for key, value in list(one.items()):
            yield f"[{key!r:.40}]", value
            yield f".key({key!r:.40})", key
    elif isinstance(one, type):
        if _is_ours(one.__module__):
            yield from ((f".{name}", value) for name, value in list(vars(one).items()))
    elif isinstance(one, FunctionType):
        if _is_ours(one.__module__):
            yield ".closure", one.__closure__
            yield ".defaults", (one.__defaults__, one.__kwdefaults__, vars(one))
    elif isinstance(one, _lru_cache_wrapper):
        # What a library remembers of its latest arguments, as urlsplit does, is not the face's.
        if _is_ours(one.__module__):
            yield from ((".cache", below) for below in gc.get_referents(one))
    elif isinstance(one, MethodType):
        yield ".self", one.__self__
    elif type(one).__module__.partition(".")[0] not in _OTHERS:
        # Whatever it is: lists, sets, deques, cells, caches of functions, weak maps, instances with slots.
        yield from ((f"<{type(one).__name__}>", below) for below in gc.get_referents(one))


def _is_ours(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] == "hermes_cli"
