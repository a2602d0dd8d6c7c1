"""What a starter, a kernel and a budget do to a keeper: it has its own ways, and few needs."""

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
import time
from pathlib import Path

import pytest

from hermes_cli.processes import records, starting
from hermes_cli.processes.errors import ProcessError
from hermes_cli.processes.liveness import keeper_lives
from hermes_cli.processes.registry import Registry
from tests.integration.processes.keeping import Place, eventually

ROOT = Path(records.__file__).parent.parent.parent
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount and change users")


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
        client.connect(path)
        clients.append(client)
    descriptors = Path(f"/proc/{place.keeper(cat_id)}/fd")
    eventually(lambda: len(list(descriptors.iterdir())) == 18, "it has all it may have")
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
    polled = place.registry.poll(writer, 0)
    dropped = polled.dropped_bytes
    while polled.more:
        polled = place.registry.poll(writer, polled.cursor)
        dropped += polled.dropped_bytes
    assert dropped > 200_000


def test_a_registry_that_may_not_look_says_so(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may look everywhere")
    closed = tmp_path / "processes"
    closed.mkdir(mode=0o000)
    with pytest.raises(ProcessError, match="cannot be read"):
        Registry(closed).list()


def test_uptime_does_not_follow_a_clock_that_is_set(place: Place) -> None:
    sleeper, done = place.start("sleep 60"), place.start("sleep 0.2")
    place.end(done)
    ahead = Registry(place.directory, clock=lambda: time.time() + 1_000_000)
    uptimes = {row.session_id: row.uptime_seconds for row in ahead.list()}
    assert 0 <= uptimes[sleeper] < 60
    assert 0.1 < uptimes[done] < 60


def test_readers_never_take_the_last_word_of_a_keeper_for_a_loss(place: Place) -> None:
    stop = threading.Event()
    seen: set[str] = set()
    failures: list[BaseException] = []

    def look() -> None:
        registry = place.another()
        while not stop.is_set():
            try:
                seen.update(row.status for row in registry.list())
            except BaseException as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(24):
            started = place.start(f"sleep 0.0{number % 10} & exit 0")
            if number % 6 == 5:
                place.end(started)
    finally:
        eventually(lambda: not any(place.status(one).control for one in place.started), "all are over")
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert seen <= {"running", "exited"}


def test_a_starter_that_goes_before_it_hears_the_answer_leaves_a_process_that_is_kept(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def goes(answer: int, _: float) -> list[str]:
        # Nobody can say anything into a full pipe: the keeper has begun and is about to answer.
        full = os.open(f"/proc/self/fd/{answer}", os.O_WRONLY | os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(full, b"x" * 4096)
        os.close(full)
        eventually(lambda: any(place.directory.glob("proc_*/status.json")), "the command has begun")
        raise KeyboardInterrupt

    monkeypatch.setattr(starting, "_receive", goes)
    with pytest.raises(KeyboardInterrupt):
        place.start("cat; exit 3")
    row = place.registry.list()[0]
    assert row.status == "running"
    place.registry.submit(row.session_id, "kept")
    place.until(row.session_id, "kept")
    place.registry.close(row.session_id)
    assert place.end(row.session_id).exit_code == 3


@pytest.mark.parametrize("lock_held", [False, True])
def test_a_starter_that_goes_before_the_command_begins_leaves_nothing(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lock_held: bool
) -> None:
    ran = tmp_path / "ran"
    settings: list[int] = []

    def goes(descriptor: int, data: bytes, _: float) -> None:
        os.write(descriptor, data)
        settings.append(descriptor)  # and the keeper waits for its end
        if lock_held:
            directory = next(place.directory.glob("proc_*"))
            eventually(lambda: keeper_lives(directory, None), "the keeper has its lock")
        raise KeyboardInterrupt

    monkeypatch.setattr(starting, "_send", goes)
    with pytest.raises(KeyboardInterrupt):
        place.start(f": >{ran}; sleep 60")
    if lock_held:  # without it, whether the keeper was quicker is anybody's guess
        assert len(list(place.directory.glob("proc_*"))) == 1
    os.close(settings[0])
    later = Registry(place.directory, clock=lambda: time.time() + 60)

    def nothing() -> bool:
        later.clean()
        return not list(place.directory.glob("*proc_*"))

    eventually(nothing, "nothing is left of it")
    assert not ran.exists()
