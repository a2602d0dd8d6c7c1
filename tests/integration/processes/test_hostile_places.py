"""Places that are full, read-only, far away, somebody else's or not what they look like."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hermes_cli.processes import records
from hermes_cli.processes.errors import KeeperUnreachableError, ProcessError, StartError
from hermes_cli.processes.registry import Registry
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
            place.start("echo lost; sleep 60", notify_on_complete=True),
        )
        place.end(done)
        place.until(lost, "lost")
        keeper = place.keeper(lost)
        os.kill(keeper, signal.SIGKILL)
        eventually(lambda: not alive(keeper), "the keeper is dead")
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        other = place.another()
        assert {row.session_id: row.status for row in other.list()} == {done: "exited", lost: "lost"}
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


# The starter's own ways


def probe(place: Place, tmp_path: Path, setup: str, command: str) -> str:
    """What `command` says that a program starts which does `setup` first."""
    program = (
        "import sys, os, signal, threading, resource, subprocess\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path\n"
        "from hermes_cli.processes.registry import Registry\n"
        "from hermes_cli.processes.types import StartRequest\n"
        f"registry = Registry(Path({str(place.directory)!r}), default_cwd='/')\n"
        f"{setup}\n"
        f"print(registry.start(StartRequest(command={command!r})).session_id)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, close_fds=False
    )
    assert done.returncode == 0, done.stderr
    place.started.append(done.stdout.strip())
    place.end(place.started[-1])
    return place.output(place.started[-1])


def test_a_command_has_its_three_descriptors_and_no_other(place: Place, tmp_path: Path) -> None:
    setup = (
        "fd = os.open('/etc/passwd', os.O_RDONLY)\n"
        "for number in (17, 60, 900): os.dup2(fd, number, inheritable=True)\n"
        "os.set_inheritable(3, True)"
    )
    found = probe(place, tmp_path, setup, "for f in /proc/self/fd/*; do echo ${f##*/}; done")
    # The shell's own look at the directory may show.
    assert set(found.split()) <= {"0", "1", "2", "3"}
    assert "/etc/passwd" not in probe(place, tmp_path, setup, "ls -l /proc/self/fd/")


def test_signals_that_the_starter_blocks_and_ignores_are_the_commands_again(
    place: Place, tmp_path: Path
) -> None:
    setup = (
        "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
        "for n in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1):\n"
        "    signal.signal(n, signal.SIG_IGN)"
    )
    found = probe(place, tmp_path, setup, "grep -E 'Sig(Blk|Ign)' /proc/self/status; exit 0").split()
    assert int(found[1], 16) == 0
    assert int(found[3], 16) & 0x7FFFFFFF == 0
    assert place.status(place.started[-1]).exit_code == 0


def test_the_umask_and_the_limits_of_the_starter_are_the_commands(place: Place, tmp_path: Path) -> None:
    assert probe(place, tmp_path, "os.umask(0o027)", "umask").strip() in ("027", "0027")
    setup = "resource.setrlimit(resource.RLIMIT_NOFILE, (77, 77))"
    assert probe(place, tmp_path, setup, "ulimit -n").strip() == "77"


def test_a_starter_with_threads_that_fork_starts_and_loses_nothing(place: Place, tmp_path: Path) -> None:
    setup = (
        "stop = []\n"
        "def forking():\n"
        "    while not stop:\n"
        "        pid = os.fork()\n"
        "        if pid == 0: os._exit(0)\n"
        "        os.waitpid(pid, 0)\n"
        "import warnings; warnings.simplefilter('ignore')\n"
        "threads = [threading.Thread(target=forking, daemon=True) for _ in range(3)]\n"
        "[t.start() for t in threads]\n"
        "import atexit; atexit.register(stop.append, 1)"
    )
    assert probe(place, tmp_path, setup, "echo through") == "through\n"


def test_a_keeper_with_hardly_any_descriptors_keeps_what_it_can(place: Place, tmp_path: Path) -> None:
    cat_id = probe_running(place, "resource.setrlimit(resource.RLIMIT_NOFILE, (18, 18))", "cat")
    path = str(place.directory / cat_id / "control.sock")
    clients = []
    for _ in range(30):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(1)
        try:
            client.connect(path)
        except OSError:
            client.close()
            break
        clients.append(client)
    for client in clients:
        client.close()
    eventually(lambda: answers(place, cat_id), "it answers again")
    place.registry.submit(cat_id, "alive")
    place.until(cat_id, "alive")


def answers(place: Place, process_id: str) -> bool:
    try:
        return place.registry.submit(process_id, "").status == "ok"
    except ProcessError:
        return False


def probe_running(place: Place, setup: str, command: str) -> str:
    program = (
        "import sys, resource\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path\n"
        "from hermes_cli.processes.registry import Registry\n"
        "from hermes_cli.processes.types import StartRequest\n"
        f"registry = Registry(Path({str(place.directory)!r}), default_cwd='/')\n"
        f"{setup}\n"
        f"print(registry.start(StartRequest(command={command!r})).session_id)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    place.started.append(done.stdout.strip())
    return place.started[-1]


# Kernels that hide things


@needs_root
@pytest.mark.parametrize(
    ("mounts", "user"),
    [
        ("mount -t proc -o hidepid=2 proc /proc", 65534),
        ("mount -t tmpfs tmpfs /proc", 0),
        (
            "mount -t tmpfs tmpfs /sys/fs/cgroup",
            0,
        ),
    ],
)
def test_where_proc_or_cgroups_cannot_be_seen_it_still_works(mounts: str, user: int) -> None:
    python = "/usr/bin/python3"  # one that every user may run
    with tempfile.TemporaryDirectory(prefix="hermes-") as directory:
        base = Path(directory)
        base.chmod(0o755)
        home, code = base / "home", base / "code"
        home.mkdir()
        os.chown(home, user, user)
        shutil.copytree(
            ROOT / "hermes_cli", code / "hermes_cli", ignore=shutil.ignore_patterns("__pycache__")
        )
        check_in_namespace(python, home, code, mounts, user)


def check_in_namespace(python: str, home: Path, code: Path, mounts: str, user: int) -> None:
    program = (
        "import os, sys, json\n"
        f"if {user}: os.setgroups([]); os.setgid({user}); os.setuid({user})\n"
        f"sys.path.insert(0, {str(code)!r})\n"
        "from pathlib import Path\n"
        "from hermes_cli.processes.registry import Registry\n"
        "from hermes_cli.processes.types import StartRequest\n"
        f"r = Registry(Path({str(home)!r}, 'processes'), default_cwd='/')\n"
        "a = r.start(StartRequest(command='echo hi; exit 3')).session_id\n"
        "b = r.start(StartRequest(command='sleep 60 & sleep 60')).session_id\n"
        "w = r.wait(a, 8); k = r.kill(b, 1); s = [row.status for row in r.list()]\n"
        "print(json.dumps([w.status, w.exit_code, w.output, k.status, sorted(s)]))\n"
    )
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f'{mounts}; exec {python} -c "$1"', "sh", program],
        capture_output=True,
        text=True,
        timeout=30,
    )
    if "unshare failed" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no mounts here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["exited", 3, "hi\n", "killed", ["exited", "killed"]]


@needs_root
def test_a_command_that_the_kernel_takes_for_memory_says_so(place: Place, tmp_path: Path) -> None:
    group = Path("/sys/fs/cgroup/memory") / f"hermes-test-{os.getpid()}"
    version_1 = (group.parent / "memory.limit_in_bytes").exists()
    if not version_1:
        group = Path("/sys/fs/cgroup") / f"hermes-test-{os.getpid()}"
        if "memory" not in (group.parent / "cgroup.subtree_control").read_text():
            pytest.skip("no cgroup of memory can be made here")
    group.mkdir()
    try:
        (group / ("memory.limit_in_bytes" if version_1 else "memory.max")).write_text("64M")
        with contextlib.suppress(OSError):
            (group / ("memory.memsw.limit_in_bytes" if version_1 else "memory.swap.max")).write_text("64M")
        setup = f"Path({str(group)!r}, 'cgroup.procs').write_text(str(__import__('os').getpid()))"
        eater = probe_running(
            place,
            setup,
            f"echo before; exec {sys.executable} -c 'x = []\nwhile True: x.append(bytearray(1 << 20))'",
        )
        status = place.end(eater)
        assert (status.state, status.signal, status.reason) == ("exited", 9, "out of memory")
        assert place.output(eater) == "before\n"
    finally:
        eventually(lambda: not (group / "cgroup.procs").read_text().split(), "the cgroup is empty")
        group.rmdir()


# What it costs


def test_an_idle_keeper_does_nothing_at_all(place: Place) -> None:
    sleeper = place.start("echo on; sleep 60")
    place.until(sleeper, "on")
    switches = [
        line
        for line in Path(f"/proc/{place.keeper(sleeper)}/status").read_text().splitlines()
        if "ctxt" in line
    ]
    threading.Event().wait(1.2)
    after = [
        line
        for line in Path(f"/proc/{place.keeper(sleeper)}/status").read_text().splitlines()
        if "ctxt" in line
    ]
    assert after == switches


def test_a_keeper_is_small_and_alone_with_its_descriptors(place: Place) -> None:
    sleeper = place.start("echo on; sleep 60", watch_patterns=("never",))
    place.until(sleeper, "on")
    keeper = place.keeper(sleeper)
    rollup = Path(f"/proc/{keeper}/smaps_rollup").read_text().splitlines()
    private = sum(int(line.split()[1]) for line in rollup if line.startswith("Private_"))
    assert private < 4096, rollup
    assert Path(f"/proc/{keeper}/status").read_text().count("Threads:\t1\n") == 1
    assert len(os.listdir(f"/proc/{keeper}/fd")) <= 12  # noqa: PTH208
    assert Path(f"/proc/{keeper}/environ").read_bytes().count(b"\0") == 1


def test_the_lock_of_a_keeper_is_nobody_elses(place: Place) -> None:
    runner = place.start("sleep 60 & sleep 60 & wait")
    lock = os.open(place.directory / runner / records.LOCK, os.O_RDWR)
    try:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.kill(place.keeper(runner), signal.SIGKILL)
        eventually(lambda: takes(lock), "the lock is free although descendants live")
    finally:
        os.close(lock)


def takes(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def test_no_zombie_and_no_child_is_left_to_the_starter(place: Place) -> None:
    before = children()
    place.start("sleep 60")
    place.start("true")
    assert children() == before


def children() -> set[int]:
    found = set()
    for task in Path("/proc/self/task").iterdir():
        found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


def test_waiting_needs_no_looking_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from hermes_cli.processes import waiting

    monkeypatch.setattr(waiting, "_RELOOK", 30.0)
    sleeper = place.start("sleep 0.3; exit 2")
    waited = place.registry.wait(sleeper, 8)
    assert (waited.status, waited.exit_code) == ("exited", 2)
    killed = place.start("sleep 60")
    threading.Timer(0.2, os.kill, (place.keeper(killed), signal.SIGKILL)).start()
    assert place.registry.wait(killed, 8).status == "lost"


def test_limits_on_files_of_the_starter_do_not_end_a_keeper(place: Place) -> None:
    soft = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert soft[0] != 0
    writer = probe_running(
        place, "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))", "seq 1 50000; exit 5"
    )
    assert place.end(writer).exit_code == 5
    assert place.registry.poll(writer, 0).dropped_bytes > 200_000


def test_a_registry_that_may_not_look_says_so(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may look everywhere")
    closed = tmp_path / "processes"
    closed.mkdir(mode=0o000)
    with pytest.raises(ProcessError, match="cannot be read"):
        Registry(closed).list()
