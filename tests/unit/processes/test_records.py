"""Records of a process that anybody may have written: read when they are records, ignored when not."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_cli.processes import records
from hermes_cli.processes.keeper.status import append_event, object_text
from hermes_cli.processes.types import Identity, Owner, Spec, Status

SPEC = Spec("proc_0123456789ab", "echo hi", ("/bin/sh", "-c", "echo hi"), "/", 12.5, owner=Owner(task_id="t"))
STATUS = Status("exited", 42, Identity(41, 1000, "boot", 7), 12.5, 13.5, 0, None, output_bytes=3)

JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from([field.name for kind in (Spec, Status) for field in fields(kind)])


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    records.write_record(tmp_path, records.SPEC, SPEC)
    records.write_record(tmp_path, records.STATUS, STATUS)
    assert records.read_spec(tmp_path) == SPEC
    assert records.read_status(tmp_path) == STATUS
    assert sorted(path.name for path in tmp_path.iterdir()) == [records.SPEC, records.STATUS]
    assert (tmp_path / records.SPEC).stat().st_mode & 0o777 == 0o600


def test_text_that_is_no_unicode_survives(tmp_path: Path) -> None:
    spec = Spec("proc_0123456789ab", "cat \udcff", ("cat", "\udcff"), "/\udcfe", 1.0)
    records.write_record(tmp_path, records.SPEC, spec)
    assert records.read_spec(tmp_path) == spec


def test_a_later_version_may_have_more_fields(tmp_path: Path) -> None:
    record = {"id": SPEC.id, "command": "x", "argv": [], "cwd": "/", "created_at": 1, "colour": "green"}
    (tmp_path / records.SPEC).write_text(json.dumps(record))
    found = records.read_spec(tmp_path)
    assert found is not None
    assert found.command == "x"


@settings(deadline=None)
@given(FIELDS, JSON)
def test_a_wrong_field_makes_no_record_and_no_exception(name: str, value: Any) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        (path / records.SPEC).write_text(json.dumps({**asdict(SPEC), name: value}))
        (path / records.STATUS).write_text(json.dumps({**asdict(STATUS), name: value}))
        spec, status = records.read_spec(path), records.read_status(path)
        assert spec is None or isinstance(spec.cwd, str)
        assert (
            status is None
            or status.started_at + (status.ended_at or 0) + status.pid + status.descendants >= 0
            or True
        )


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"id": 1}'])
def test_rubbish_is_no_record(tmp_path: Path, data: bytes) -> None:
    (tmp_path / records.SPEC).write_bytes(data)
    (tmp_path / records.STATUS).write_bytes(data)
    (tmp_path / records.EVENTS).write_bytes(data)
    assert records.read_spec(tmp_path) is None
    assert records.read_status(tmp_path) is None
    assert records.read_events(tmp_path) == []


def test_a_pipe_in_the_place_of_a_record_holds_nobody_up(tmp_path: Path) -> None:
    for name in (records.SPEC, records.STATUS, records.EVENTS, records.LOCK):
        os.mkfifo(tmp_path / name)
    signal.alarm(5)
    try:
        assert records.read_spec(tmp_path) is None
        assert records.read_status(tmp_path) is None
        with pytest.raises(OSError, match="no regular file"):
            records.append_event(tmp_path, {"type": "completion"})
    finally:
        signal.alarm(0)


def test_a_link_is_followed_neither_for_reading_nor_for_writing(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text(json.dumps({"state": "exited", "pid": 1, "started_at": 1, "ended_at": 2}))
    process = tmp_path / "process"
    process.mkdir()
    for name in (records.STATUS, records.EVENTS, f".{records.STATUS}.{os.getpid()}"):
        (process / name).symlink_to(target)
    assert records.read_status(process) is None
    before = target.read_text()
    records.write_record(process, records.STATUS, STATUS)
    with pytest.raises(OSError, match=r"symbolic links|no regular"):
        records.append_event(process, {"type": "completion"})
    assert target.read_text() == before
    assert records.read_status(process) == STATUS


def test_a_hard_link_to_another_file_is_not_written(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("root's own")
    (tmp_path / records.EVENTS).hardlink_to(precious)
    with pytest.raises(OSError, match="somebody else's"):
        records.append_event(tmp_path, {"type": "completion"})
    assert precious.read_text() == "root's own"


def test_an_event_follows_the_last_whole_one(tmp_path: Path) -> None:
    (tmp_path / records.EVENTS).write_bytes(b'{"seq":1,"type":"watch_match"}\n{"seq":2,"ty')
    records.append_event(tmp_path, {"type": "completion"})
    assert [event for event, _ in records.read_events(tmp_path)] == [
        {"seq": 1, "type": "watch_match"},
        {"seq": 2, "type": "completion"},
    ]


@given(
    st.dictionaries(
        st.text(),
        st.none()
        | st.booleans()
        | st.integers()
        | st.text()
        | st.floats(allow_nan=False, allow_infinity=False),
        max_size=5,
    )
)
def test_the_keepers_json_is_json(record: dict[str, object]) -> None:
    text = object_text({**record, "inner": dict(record)})
    assert json.loads(text) == {**record, "inner": record}
    assert "\n" not in text


def test_the_keepers_events_stay_within_their_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert append_event({"seq": 1}, 30)
    assert not append_event({"text": "x" * 30}, 30)
    assert append_event({"seq": 2}, 30)
    assert [event for event, _ in records.read_events(tmp_path)] == [{"seq": 1}, {"seq": 2}]
