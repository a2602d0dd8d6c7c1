"""One command at a time on one service, whatever process it runs in, and however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hermes_cli.service_manager import ServiceError, ServiceTimeoutError
from hermes_cli.service_manager.locks import lock_directory, verb_lock

HOLD = """
import sys
from pathlib import Path
from hermes_cli.service_manager.locks import verb_lock
with verb_lock(Path(sys.argv[1]), "gateway-coder", "start", 5):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(directory: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_lock_held_by_another_process_is_waited_for_and_had_as_soon_as_it_is_free(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        freed: list[float] = []

        def release() -> None:
            freed.append(time.monotonic())
            process.communicate()

        timer = threading.Timer(0.2, release)
        timer.start()
        with verb_lock(tmp_path, "gateway-coder", "stop", 10):
            assert time.monotonic() - freed[0] < 1
        timer.join()


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        with verb_lock(tmp_path, "gateway-coder", "stop", 5):
            pass


def test_a_lock_that_stays_taken_is_a_timeout_that_says_why(tmp_path: Path) -> None:
    with verb_lock(tmp_path, "gateway-coder", "start", 1):
        began = time.monotonic()
        with (
            pytest.raises(ServiceTimeoutError, match="another command"),
            verb_lock(tmp_path, "gateway-coder", "stop", 0.2),
        ):
            pytest.fail("two have the lock")
        assert 0.2 <= time.monotonic() - began < 2


def test_locks_of_different_services_do_not_meet(tmp_path: Path) -> None:
    with verb_lock(tmp_path, "gateway-a", "start", 1), verb_lock(tmp_path, "gateway-b", "start", 0):
        pass


def test_never_two_at_once_under_load(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(20):
            with verb_lock(tmp_path, "gateway-coder", "start", 20):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 160
    assert max(most) == 1


def test_an_error_in_the_verb_frees_the_lock(tmp_path: Path) -> None:
    with pytest.raises(KeyError), verb_lock(tmp_path, "gateway-coder", "start", 1):
        raise KeyError
    with verb_lock(tmp_path, "gateway-coder", "start", 0):
        pass


def test_the_directory_is_made(tmp_path: Path) -> None:
    assert lock_directory(tmp_path / "a/b") == tmp_path / "a/b"
    assert (tmp_path / "a/b").is_dir()


def test_a_directory_that_cannot_be_is_replaced_by_a_private_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_RUNTIME_DIR", os.fspath(tmp_path))
    assert lock_directory(tmp_path / "file/locks") == tmp_path / "hermes-locks"
    assert (tmp_path / "hermes-locks").stat().st_mode & 0o777 == 0o700
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr("tempfile.tempdir", os.fspath(tmp_path))
    assert lock_directory(tmp_path / "file/locks") == tmp_path / f"hermes-locks-{os.getuid()}"


def test_a_runtime_directory_that_is_not_there_is_as_good_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "blocked").touch()
    monkeypatch.setenv("XDG_RUNTIME_DIR", os.fspath(tmp_path / "nowhere"))
    assert lock_directory(tmp_path / "blocked/locks").is_dir()


def test_a_private_directory_that_someone_planted_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "hermes-locks").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setenv("XDG_RUNTIME_DIR", os.fspath(tmp_path))
    with pytest.raises(ServiceError, match="belongs to someone else"):
        lock_directory(tmp_path / "file/locks")


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "gateway-coder").symlink_to(tmp_path / "victim")
    with pytest.raises(ServiceError, match="cannot lock"), verb_lock(tmp_path, "gateway-coder", "start", 1):
        pass
    assert not (tmp_path / "victim").exists()
