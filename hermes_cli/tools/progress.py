"""Telling the caller every so often what a background process has written, until it ends."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from hermes_cli.processes.errors import ProcessError

from .context import Progress
from .verbs import ProcessVerbs

_LOG = logging.getLogger(__name__)
_JOIN_SECONDS = 5.0


def tell_new(registry: ProcessVerbs, session_id: str, cursor: int, tell: Callable[[Progress], None]) -> int:
    """Tell what is new since `cursor`, if anything is; answer the next cursor."""
    polled = registry.poll(session_id, cursor=cursor)
    if polled.output or polled.status != "running":
        try:
            tell(Progress(session_id, polled.status, polled.uptime_seconds, polled.output))
        except Exception:
            # The caller's own fault must not end its command.
            _LOG.exception("the receiver of progress failed")
    return polled.cursor


class ProgressReports:
    """One thread per watched process. They end with their process, or all together by `close`."""

    def __init__(self, registry: ProcessVerbs) -> None:
        self._registry = registry
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()

    def start(self, session_id: str, interval: float, tell: Callable[[Progress], None]) -> None:
        """Tell every `interval` seconds, and once at the end."""
        thread = threading.Thread(
            target=self._run, args=(session_id, interval, tell), name=f"progress-{session_id}", daemon=True
        )
        with self._lock:
            if self._stop.is_set():
                return
            self._threads.add(thread)
            thread.start()

    def close(self) -> None:
        """End all reports; the processes go on."""
        self._stop.set()
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(_JOIN_SECONDS)

    def _run(self, session_id: str, interval: float, tell: Callable[[Progress], None]) -> None:
        cursor = 0
        try:
            while not self._stop.is_set():
                waited = self._registry.wait(session_id, timeout=interval, interrupted=self._stop.is_set)
                if waited.status == "interrupted":
                    return
                cursor = tell_new(self._registry, session_id, cursor, tell)
                if waited.status != "timeout":
                    return
        except (ProcessError, OSError) as error:
            _LOG.info("no more progress of %s: %s", session_id, error)
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())
