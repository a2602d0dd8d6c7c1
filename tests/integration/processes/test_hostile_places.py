"""Places that are full, read-only, far away, somebody else's or not what they look like."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hermes_cli.processes import records
from hermes_cli.processes.errors import KeeperUnreachableError, ProcessError, StartError
from hermes_cli.processes.types import StartRequest
from tests.integration.processes.keeping import Place, alive, eventually, living

ROOT = Path(records.__file__).parent.parent.parent
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount and change users")


@contextlib.contextmanager
def mounted(directory: Path, options: str) -> Iterator[Path]:
    directory.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", directory], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no mounts here: {done.stderr.strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


# Full disks


@needs_root
def test_a_disk_that_fills_costs_only_what_comes_then(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "size=2m,mode=755") as small:
        place = Place(small / "processes")
        go, again = tmp_path / "go", tmp_path / "again"
        os.mkfifo(go)
        os.mkfifo(again)
        talker = place.start(
            f"seq 1 2000; cat {go}; seq 1 400000; : >{tmp_path}/done; cat {again}; echo after; exit 6",
            notify_on_complete=True,
        )
        place.until(talker, "\n2000\n")
        filler = small / "filler"
        with contextlib.suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(b"x" * 4096)
                file.flush()
        go.write_bytes(b"")
        eventually((tmp_path / "done").exists, "the command was not held up")
        filler.unlink()
        again.write_bytes(b"")
        status = place.end(talker)
        assert (status.state, status.exit_code) == ("exited", 6)
        first = place.registry.log(talker, 0, 2000)
        assert first.output == "\n".join(map(str, range(1, 2001)))
        assert place.output(talker).endswith("after\n")
        dropped = cursor = 0
        while cursor < (status.output_bytes or 0):
            page = place.registry.poll(talker, cursor)
            dropped, cursor = dropped + page.dropped_bytes, page.cursor
        assert dropped > 1_000_000
        place.sweep()


@needs_root
@pytest.mark.parametrize("notify", [True, False])
def test_an_end_on_a_full_disk_is_known(tmp_path: Path, notify: bool) -> None:
    with mounted(tmp_path / "small", "size=1m,mode=755") as small:
        place = Place(small / "processes")
        go = tmp_path / "go"
        os.mkfifo(go)
        talker = place.start(
            f"echo before; cat {go}; seq 1 100000; (sleep 0.2) & exit 9", notify_on_complete=notify
        )
        place.until(talker, "before")
        with contextlib.suppress(OSError), (small / "filler").open("wb", 0) as file:
            while True:
                file.write(b"x" * 4096)
        go.write_bytes(b"")
        status = place.end(talker)
        assert (status.state, status.exit_code, status.control) == ("exited", 9, "")
        assert status.output_bytes == 588_895 + 7
        assert place.output(talker) == "before\n"
        assert place.registry.poll(talker, 7).dropped_bytes == 588_895
        with pytest.raises(StartError, match=r"[Nn]o space|disk is full"):
            place.start("true")
        place.sweep()


@needs_root
def test_a_disk_without_files_left_is_a_sentence(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "nr_inodes=16,mode=755") as small:
        place = Place(small / "processes")
        place.start("sleep 60")
        with pytest.raises(StartError, match=r"[Nn]o space|disk is full"):
            place.start("sleep 60")
        place.sweep()


@needs_root
def test_what_is_on_a_disk_that_is_read_only_can_be_read(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=8m,mode=755") as disk:
        place = Place(disk / "processes")
        done, lost = (
            place.start("echo done; exit 3"),
            place.start("echo lost; sleep 60 & wait", notify_on_complete=True),
        )
        place.end(done)
        place.until(lost, "lost")
        keeper = place.keeper(lost)
        os.kill(keeper, signal.SIGKILL)
        eventually(lambda: not alive(keeper), "the keeper is dead")
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        other = place.another()
        assert {row.session_id: row.status for row in other.list()} == {done: "exited", lost: "lost"}
        assert living(lost) == []
        assert other.wait(lost, 2).status == "lost"
        assert other.log(done).output == "done"
        with pytest.raises(StartError, match="Read-only"):
            other.start(StartRequest(command="true"))
        with pytest.raises(ProcessError, match="Read-only"):
            other.clean()


# Far away


def test_a_home_whose_path_no_socket_could_have_works(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a-directory-with-a-long-name"] * 8)
    deep.mkdir(parents=True)
    place = Place(deep / "processes")
    cat = place.start("cat")
    place.registry.submit(cat, "far away")
    place.until(cat, "far away")
    place.sweep()


def test_a_file_system_without_sockets_works(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A name that is taken is as good as a file system that has no sockets: bind fails.
    reserve = place.registry._collection.reserve

    def taken(*arguments: Any, **options: Any) -> Path:
        directory = reserve(*arguments, **options)
        (directory / "control.sock").mkdir()
        return directory

    monkeypatch.setattr(place.registry._collection, "reserve", taken)
    cat = place.start("cat")
    assert place.status(cat).control == f"@hermes-{cat}"
    place.registry.submit(cat, "without a file")
    place.until(cat, "without a file")
    place.registry.close(cat)
    assert place.end(cat).exit_code == 0


def test_a_home_that_is_renamed_while_a_process_runs_goes_on(tmp_path: Path) -> None:
    place = Place(tmp_path / "old" / "processes")
    cat = place.start("cat; exit 4")
    (tmp_path / "old").rename(tmp_path / "new")
    moved = Place(tmp_path / "new" / "processes")
    moved.started.append(cat)
    moved.registry.submit(cat, "moved")
    moved.until(cat, "moved")
    moved.registry.close(cat)
    assert moved.end(cat).exit_code == 4
    assert place.registry.list() == []


# Somebody else's


@needs_root
def test_a_command_runs_as_the_user_asked_for_and_is_root_in_nothing(place: Place, tmp_path: Path) -> None:
    as_nobody = place.start(
        "id -u; id -un; echo $HOME $USER; cat /etc/shadow; cat /proc/self/oom_score_adj; cat",
        user="nobody",
    )
    place.registry.submit(as_nobody, "through the socket")
    text = place.until(as_nobody, "through the socket")
    assert text.startswith("65534\nnobody\n")
    assert "Permission denied" in text
    directory = place.directory / as_nobody
    keeper = Path(f"/proc/{place.keeper(as_nobody)}/status").read_text()
    assert "Uid:\t65534\t65534\t65534\t65534" in keeper
    assert "Groups:\t65534 \n" in keeper
    assert {path.stat().st_uid for path in (directory, directory / "output", directory / "status.json")} == {
        65534
    }
    assert place.registry.kill(as_nobody, 1).status == "killed"


@needs_root
def test_what_a_foreign_user_plants_in_its_process_misleads_nobody(place: Place, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("root's own\n")
    planter = place.start("exec sleep 60", user="nobody")
    directory = place.directory / planter
    place.registry.list()
    os.kill(place.keeper(planter), signal.SIGKILL)
    eventually(lambda: not living(planter), "the command is dead")
    for name in (records.STATUS, records.EVENTS, "control.sock", records.TAKEN):
        (directory / name).unlink(missing_ok=True)
    for name in (f".{records.STATUS}.{os.getpid()}", records.EVENTS, records.TAKEN):
        (directory / name).symlink_to(precious)
    os.mkfifo(directory / records.STATUS)
    shutil.rmtree(directory / "output")
    (directory / "output").symlink_to("/etc")
    signal.alarm(8)
    try:
        row = place.another().list()[0]
        place.another().poll(planter, 0)
        place.another().log(planter)
    finally:
        signal.alarm(0)
    assert row.status == "lost"
    assert precious.read_text() == "root's own\n"


@needs_root
def test_a_foreign_user_is_refused_at_the_control_socket(place: Place, tmp_path: Path) -> None:
    sleeper = place.start("sleep 60")
    path = place.directory / sleeper / "control.sock"
    for directory in (path, *path.parents):
        if directory == Path("/"):
            break
        if directory.stat().st_mode & 0o777 != 0o777:
            directory.chmod(0o777)
    knock = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect(sys.argv[1])\n"
        "try:\n"
        "    s.sendall(b'kill 0\\n'); print(s.recv(100))\n"
        "except OSError: print(b'')\n"
    )
    done = subprocess.run(
        ["/usr/bin/python3", "-c", knock, str(path)],
        user=65534,
        group=65534,
        extra_groups=[],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "b''\n", done.stderr
    assert place.registry.poll(sleeper).status == "running"


def test_somebody_who_listens_in_the_keepers_place_is_not_asked(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hermes_cli.processes import control

    sleeper = place.start("sleep 60")
    real = control.KeeperConnection._check_listener

    def as_if_of_another(self: control.KeeperConnection, directory: Path) -> None:
        class Other:
            @staticmethod
            def stat() -> os.stat_result:
                return os.stat_result((0, 0, 0, 0, 12345, 0, 0, 0, 0, 0))

        real(self, Other())  # type: ignore[arg-type]

    if os.geteuid() == 0:
        pytest.skip("root may listen anywhere")
    monkeypatch.setattr(control.KeeperConnection, "_check_listener", as_if_of_another)
    with pytest.raises(KeeperUnreachableError, match="somebody else"):
        place.registry.write(sleeper, b"x")


# Rubbish at the door


def test_rubbish_at_the_control_socket_ends_nothing(place: Place) -> None:
    cat = place.start("cat")
    path = str(place.directory / cat / "control.sock")
    rubbish = [
        *(b"\n", b"kill\n", b"kill -1\n", b"kill x\n", b"signal 99999999999999999999\n", b"signal 64000\n"),
        *(b"write 5 5000000\n", b"write 99999999999999999999999 1\nx", b"resize 0 0\n", b"resize 99999 1\n"),
        *(
            b"x" * 1000,
            b"\xff\xfe\n",
            b"nonsense 1 2 3\n",
            b"kill " + b"9" * 110 + b"\n",
            os.urandom(5000),
            b"",
        ),
    ]
    for data in rubbish:
        with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
            client.settimeout(0.2)
            client.connect(path)
            client.sendall(data)
            client.recv(100)
    idle = []
    for _ in range(40):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5)
        client.connect(path)
        idle.append(client)
    assert place.registry.submit(cat, "still here").status == "ok"
    place.until(cat, "still here")
    for client in idle:
        client.close()
