"""Waking when something on disk changes, in an event loop; and which places tell of the installation."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

from hermes_cli.home import Home, profile_names
from hermes_cli.service_manager.names import service_name
from hermes_cli.service_manager.watch import IN_CREATE, IN_DELETE, IN_MOVED_FROM, IN_MOVED_TO, REPLACED, Watch

ENTRIES = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO
"""An entry comes, goes or is replaced. Not that a file is written: that would be databases and output."""

SCANDIR = Path("/run/service")


class Changes(Watch):
    """inotify in an event loop. Make, use and close it in the loop's thread; only arming may be elsewhere."""

    def __init__(self, path: Path, mask: int) -> None:
        super().__init__(path, mask)
        self._happened = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._reading = False
        if self._fd >= 0:
            self._loop.add_reader(self._fd, self._readable)
            self._reading = True

    async def next(self, timeout: float) -> None:
        """Return when something happened since `arm`, or after `timeout` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._happened.wait()
        self._happened.clear()

    def wake(self) -> None:
        """As if something had happened."""
        self._happened.set()

    def close(self) -> None:
        if self._reading:
            self._loop.remove_reader(self._fd)
            self._reading = False
        super().close()

    def _readable(self) -> None:
        self._drain()
        self._happened.set()


class InstallationChanges(Changes):
    """Wakes when anything changes that the status is made of: homes, processes, slots, supervision's log."""

    def __init__(self, root: Path, scandir: Path = SCANDIR) -> None:
        super().__init__(root, ENTRIES)
        self._root = root
        self._scandir = scandir

    def arm(self) -> None:
        """Watch every place there is now. Call it before each look, from any thread."""
        super().arm()
        self.also(self._root / "profiles", ENTRIES)
        self.also(Home.of(root=self._root).supervision_log, REPLACED)
        self.also(self._scandir, ENTRIES)
        with contextlib.suppress(OSError):
            for profile in profile_names(self._root):
                self._arm_profile(Home.of(profile, self._root))

    def _arm_profile(self, home: Home) -> None:
        for directory in (home.path, home.run_dir, home.processes):
            self.also(directory, ENTRIES)
        for name in _directories(home.processes):
            self.also(name, ENTRIES)
        # s6-supervise replaces it at every step (s6-supervise's page, "status").
        self.also(self._scandir / service_name(home.profile) / "supervise" / "status", REPLACED)


def _directories(path: Path) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
