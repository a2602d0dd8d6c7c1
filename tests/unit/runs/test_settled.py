"""What says that no run is open: never while one may be, whoever wrote to the store."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from hermes_cli.home import Home
from hermes_cli.runs import store as stores
from hermes_cli.runs.errors import StoreError
from hermes_cli.runs.settled import settle, settled, unsettle
from hermes_cli.runs.store import Store, open_connection
from hermes_cli.runs.types import NewEvent, RunRequest

END = NewEvent(type="completed", terminal="completed")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.of(root=tmp_path)


@contextlib.contextmanager
def opened(home: Home) -> Iterator[apsw.Connection]:
    connection = open_connection(home.state_db)
    try:
        yield connection
    finally:
        connection.close()


def begin(connection: apsw.Connection, digits: str) -> None:
    """A run as any version begins one: with a transaction on the store, and no word to anybody."""
    request = RunRequest(message="x")
    with connection:
        Store(connection).create_run(
            f"run_{digits}", request, agent="shell", on_conflict="queue", new_session_id=f"ses_{digits}"
        )


def end(connection: apsw.Connection, digits: str) -> None:
    store = Store(connection)
    with connection:
        store.append(store.run(f"run_{digits}"), [END])


@pytest.fixture
def quiet(home: Home) -> Home:
    """A home whose one run has ended, and which says so."""
    with opened(home) as connection:
        begin(connection, "00")
        end(connection, "00")
    assert settle(home, 5.0)
    return home


def test_what_is_settled_says_when_it_was_tended(quiet: Home) -> None:
    record = settled(quiet)
    assert record is not None
    assert record.tended_at == 5.0


def test_a_home_says_nothing_before_it_has_a_store(home: Home) -> None:
    assert settled(home) is None


def test_an_open_run_is_seen_whatever_else_has_ended(quiet: Home) -> None:
    with opened(quiet) as connection:
        begin(connection, "01")
    assert not settle(quiet, 0.0)
    with opened(quiet) as connection:
        end(connection, "01")
    assert settle(quiet, 0.0)


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "killed"])
def test_a_version_that_knows_nothing_of_it_is_noticed(quiet: Home, tmp_path: Path, closed: bool) -> None:
    connection = open_connection(quiet.state_db)
    assert settled(quiet), "to look is not to write"
    begin(connection, "01")
    if not closed:
        # As a kill leaves it: the files, and nobody who tidies them.
        for name in ("state.db", "state.db-wal"):
            shutil.copy2(tmp_path / name, tmp_path / f"left-{name}")
    connection.close()
    if not closed:
        shutil.copy2(tmp_path / "left-state.db", quiet.state_db)
        shutil.copy2(tmp_path / "left-state.db-wal", f"{quiet.state_db}-wal")
    assert settled(quiet) is None


def test_it_holds_while_a_settled_store_is_open_and_where_its_holder_is_killed(home: Home) -> None:
    with opened(home) as connection:
        begin(connection, "00")
        end(connection, "00")
        assert settle(home, 0.0)
        assert settled(home), "what stood in the WAL is in the file"
        begin(connection, "01")
        assert settled(home) is None


def test_a_store_from_a_copy_is_another(quiet: Home, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with opened(quiet) as connection:
        begin(connection, "01")
    shutil.copy2(quiet.state_db, copy)
    with opened(quiet) as connection:
        end(connection, "01")
    assert settle(quiet, 0.0)
    shutil.copy2(copy, quiet.state_db)
    assert settled(quiet) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 1}', b"\xff" * 100])
def test_a_file_that_holds_something_else_says_nothing(quiet: Home, content: bytes) -> None:
    quiet.runs_settled.write_bytes(content)
    assert settled(quiet) is None


def test_it_is_not_written_while_somebody_reads(quiet: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "_BUSY", 10)
    unsettle(quiet)
    with opened(quiet) as writer, opened(quiet) as reader:
        rows = reader.execute("SELECT 1 FROM runs UNION ALL SELECT 2")
        next(rows)
        begin(writer, "01")
        end(writer, "01")
        assert not settle(quiet, 0.0)
        assert settled(quiet) is None
        rows.close()
        assert settle(quiet, 0.0)


def test_a_damaged_store_is_an_error_and_not_settled(quiet: Home) -> None:
    unsettle(quiet)
    quiet.state_db.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError):
        settle(quiet, 0.0)
    assert settled(quiet) is None


def test_to_take_it_back_twice_is_harmless_and_what_cannot_be_taken_back_is_an_error(quiet: Home) -> None:
    unsettle(quiet)
    unsettle(quiet)
    assert settled(quiet) is None
    quiet.runs_settled.mkdir()
    with pytest.raises(StoreError, match="no run begins"):
        unsettle(quiet)
