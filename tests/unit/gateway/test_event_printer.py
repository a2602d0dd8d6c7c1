"""The resident end of `hermes main`: every event once, in words, whatever happens to the log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from threading import Thread

import pytest

from hermes_cli.gateway import event_printer
from hermes_cli.gateway.event_printer import EventLog, in_words

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")

HIGHEST_RSS = 20 << 10
"""KiB the printer may have resident."""


def line(profile: str, event: str = "ready", **more: object) -> str:
    return json.dumps({"ts": "2026-11-21T06:23:52Z", "profile": profile, "event": event, **more}) + "\n"


class Printer:
    def __init__(self, log: Path, *place: str) -> None:
        environment = {**os.environ, "TZ": "UTC"}
        command = [sys.executable, "-I", "-S", event_printer.__file__, str(log), *place]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        self._lines: Queue[str] = Queue()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def next(self) -> str:
        return self._lines.get(timeout=10)

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(timeout=5)
        self._reader.join(timeout=5)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self._lines.put(text.rstrip("\n"))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "supervision.jsonl"


@pytest.fixture
def printer(log: Path) -> Iterator[Printer]:
    log.write_text(line("first"))
    one = Printer(log)
    assert "first" in one.next()
    yield one
    if one.process.poll() is None:
        assert one.end() == 0


def append(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(text)


def test_an_event_is_printed_with_its_time(log: Path, printer: Printer) -> None:
    append(log, line("coder", "crashed", signal="SIGKILL"))
    assert printer.next() == (
        "2026-11-21 06:23:52  coder: the gateway crashed, killed by SIGKILL; it is started again"
    )


def test_a_line_written_in_two_parts_is_printed_once_whole(log: Path, printer: Printer) -> None:
    text = line("torn")
    append(log, text[:20])
    append(log, text[20:] + line("after"))
    assert "torn" in printer.next()
    assert "after" in printer.next()


def test_garbage_is_skipped(log: Path, printer: Printer) -> None:
    append(log, 'garbage\n{"ts":1}\n[]\n\n{"ts":"2026-11-21T06:23:52Z","profile":null}\n' + line("after"))
    assert "after" in printer.next()


def test_rotation_loses_nothing(log: Path, printer: Printer) -> None:
    append(log, line("before"))
    log.rename(log.with_suffix(".jsonl.1"))
    append(log.with_suffix(".jsonl.1"), line("late"))
    log.write_text(line("new"))
    assert [printer.next().split()[2] for _ in range(3)] == ["before:", "late:", "new:"]


def test_what_came_between_the_last_look_and_the_rotation_is_read(log: Path) -> None:
    log.write_text(line("first"))
    events = EventLog(str(log))
    assert len(events.read()) == 1
    append(log, line("late"))
    log.rename(log.with_suffix(".jsonl.1"))
    log.write_text(line("new"))
    assert [json.loads(text)["profile"] for text in events.read()] == ["late", "new"]
    events.close()


def test_a_truncated_log_is_read_from_its_beginning(log: Path, printer: Printer) -> None:
    append(log, line("long", detail="x" * 400))
    assert "long" in printer.next()
    log.write_text(line("new"))
    assert "new" in printer.next()


def test_a_log_that_is_not_there_yet_is_waited_for(log: Path) -> None:
    printer = Printer(log)
    log.write_text(line("coder"))
    assert "coder" in printer.next()
    assert printer.end() == 0


def test_what_was_there_before_the_place_is_not_repeated(log: Path) -> None:
    log.write_text(line("old"))
    found = log.stat()
    append(log, line("new"))
    printer = Printer(log, str(found.st_ino), str(found.st_size))
    assert "new" in printer.next()
    assert printer.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_and_cleanly_when_told_to(printer: Printer, number: int) -> None:
    assert printer.end(number) == 0


def test_it_costs_little_memory(printer: Printer) -> None:
    status = Path(f"/proc/{printer.process.pid}/status").read_text()
    resident = next(int(text.split()[1]) for text in status.splitlines() if text.startswith("VmRSS"))
    assert resident < HIGHEST_RSS


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (line("coder", "exited", code=0), "coder: the gateway ended, exit code 0"),
        (
            line("coder", "parked", detail="port 1 is taken"),
            "coder: parked: port 1 is taken; mend the cause, then 'hermes -p coder gateway start'",
        ),
        (
            line("default", "parked", code=78),
            "default: parked: exit code 78; mend the cause, then 'hermes gateway start'",
        ),
        (line("coder", "registered"), "coder: the gateway is registered"),
        (line("coder", "from-the-future", detail="x"), "coder: from-the-future (x)"),
    ],
)
def test_events_in_words(event: str, words: str) -> None:
    printed = in_words(event.encode())
    assert printed is not None
    assert printed.partition("  ")[2] == words


def test_an_event_cannot_move_the_cursor() -> None:
    printed = in_words(line("coder", "parked", detail="\x1b[2J\r\u202e").encode())
    assert printed is not None
    assert printed.isprintable()


def test_deeply_nested_json_is_no_event() -> None:
    assert in_words(b"[" * 100_000) is None
