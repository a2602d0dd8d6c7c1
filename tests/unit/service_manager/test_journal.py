"""Reading a unit's part of the journal: its own lines alone, with their times, going on from a cursor."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hermes_cli.service_manager.errors import ServiceError
from hermes_cli.service_manager.systemd_logs import JournalLog, _Journal

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd's journal is Linux's")

JOURNALCTL = """#!/bin/sh
# Stands for systemd's journalctl: the entries are lines of a file, and every call is written down.
cd "${0%/*}" || exit 1
echo "$*" >>calls
from=0
for word; do
  case $word in --after-cursor=*) from=$((0x${word##*i=})) ;; esac # the cursor of line N ends in N
done
case " $* " in
  *" --follow "*) exec tail -n +$((from + 1)) -f entries ;;
  *" --reverse "*) tac entries ;;
  *) cat entries ;;
esac
[ ! -e fails ] || { echo "No journal files were opened due to insufficient permissions." >&2; exit 1; }
"""


class Scene:
    """A journal with entries, and a unit."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        program = directory / "journalctl"
        program.write_text(JOURNALCTL)
        program.chmod(0o755)
        (directory / "entries").touch()
        files: Any = SimpleNamespace(
            name="gateway-coder",
            unit="hermes-gateway-coder.service",
            layout=SimpleNamespace(level="user"),
        )
        environment = {"PATH": f"{directory}:{os.environ['PATH']}"}
        systemctl: Any = SimpleNamespace(environment=lambda: environment)
        self.journal = _Journal(files, systemctl)

    def add(self, number: int, message: object, **fields: str) -> None:
        entry = {"MESSAGE": message, "__CURSOR": f"s=a;i={number:x}", **fields}
        entry["__REALTIME_TIMESTAMP"] = str(1_000_000_000_000_000 + number * 1_000_000 + 5)
        with (self.directory / "entries").open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def calls(self) -> list[str]:
        return (self.directory / "calls").read_text().splitlines()


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    return Scene(tmp_path)


def more(reader: JournalLog) -> list[str]:
    """What comes next; fails where nothing does."""
    deadline = time.monotonic() + 30
    while True:
        reader.arm()
        if found := reader.read():
            return found
        assert time.monotonic() < deadline, "nothing came"
        reader.wait(0.2)


def test_the_last_lines_have_their_times_and_systemds_own_are_left_out(scene: Scene) -> None:
    scene.add(1, "one")
    scene.add(2, "Started.", UNIT="hermes-gateway-coder.service")
    scene.add(3, "two")
    scene.add(4, [104, 105, 255])
    reader = JournalLog(scene.journal, lines=2)
    found = [(line[:26], line[31:]) for line in reader.read()]
    assert found == [("2001-09-09 01:46:43.000005", "two"), ("2001-09-09 01:46:44.000005", "hi\ufffd")]
    assert reader.read() == []
    assert reader.cursor == "s=a;i=4"
    reader.close()


def test_all_since_then_is_read_in_its_order(scene: Scene) -> None:
    for number in range(2500):
        scene.add(number, str(number))
    reader = JournalLog(scene.journal, lines=None, since=12.5, stamped=False)
    found: list[str] = []
    while batch := reader.read():
        found += batch
    assert found == [str(number) for number in range(2500)]
    assert "--since=@12.500000" in scene.calls()[0]
    reader.close()


def test_what_is_new_comes_by_itself(scene: Scene) -> None:
    scene.add(1, "one")
    reader = JournalLog(scene.journal, stamped=False)
    assert reader.read() == ["one"]
    for number in (2, 3):
        scene.add(number, str(number))
        assert more(reader) == [str(number)]
    assert "--after-cursor=s=a;i=1" in scene.calls()[1]
    reader.close()


def test_a_cursor_goes_on_behind_it_and_one_of_a_file_begins_anew(scene: Scene) -> None:
    scene.add(1, "one")
    later = JournalLog(scene.journal, cursor="s=a;i=1")
    assert (later.read(), later.skipped) == ([], False)
    later.close()
    for cursor, skipped in (("77-1200", True), ("0-0", False)):
        reader = JournalLog(scene.journal, cursor=cursor, stamped=False)
        assert (reader.skipped, reader.read()) == (skipped, ["one"])
        reader.close()


def test_who_may_not_read_it_is_told_why(scene: Scene) -> None:
    (scene.directory / "fails").touch()
    reader = JournalLog(scene.journal)
    with pytest.raises(ServiceError, match="systemd-journal"):
        reader.read()
    reader.close()
