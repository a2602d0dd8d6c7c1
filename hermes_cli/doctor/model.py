"""What a check is given and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from hermes_cli.home import Home, profile_names
from hermes_cli.service_manager.types import ServiceManager
from hermes_cli.status import StatusReport, collect

Severity = Literal["ok", "warning", "error"]


class Finding(msgspec.Struct, kw_only=True):
    """One thing that was looked at."""

    id: str
    """The check, and where there are several the thing it is about: `port coder`."""
    status: Severity
    message: str
    remedy: str = ""
    """What to do, where there is something to do."""
    detail: str = ""
    """What is to be seen of it: several lines, such as a difference."""
    fixable: bool = False
    """`hermes doctor --fix` can mend it."""
    fixed: bool = False
    """It was wrong and has been mended by this run."""


class Result(NamedTuple):
    """A finding, with the way to mend it where there is a safe one."""

    finding: Finding
    mend: Callable[[], object] | None = None


class Check(NamedTuple):
    """A check: `look` yields what is wrong; where it yields nothing, `fine` is the finding."""

    id: str
    fine: str
    look: Callable[[Scene], Iterator[Result]]
    applies: Callable[[Scene], bool] = lambda _scene: True


@dataclass
class Scene:
    """What the checks look at. Computed parts are computed once; a second look takes a new scene."""

    root: Path
    manager: ServiceManager | None
    scandir: Path = Path("/run/service")
    uid: int = -1
    gid: int = -1

    @cached_property
    def homes(self) -> list[Home]:
        try:
            return [Home(name, self.root) for name in profile_names(self.root)]
        except OSError:
            return [Home("default", self.root)]

    @cached_property
    def status(self) -> StatusReport:
        return collect(self.root, self.manager)

    @property
    def has_slots(self) -> bool:
        return self.manager is not None and self.manager.kind == "s6"

    @cached_property
    def single_user(self) -> bool:
        """PID 1 is this very user: the whole tree runs unprivileged, and slots are its own."""
        try:
            return Path("/proc/1").stat().st_uid == self.uid != 0
        except OSError:
            return False


def problem(
    check: str,
    message: str,
    remedy: str,
    *,
    status: Severity = "error",
    mend: Callable[[], object] | None = None,
    detail: str = "",
) -> Result:
    """A result that is not ok."""
    finding = Finding(
        id=check, status=status, message=message, remedy=remedy, detail=detail, fixable=mend is not None
    )
    return Result(finding, mend)
