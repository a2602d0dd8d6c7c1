"""The outbox: every event of every process once, for its owner and nobody else, whatever is killed."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from hermes_cli.processes import records
from hermes_cli.processes.errors import NoSuchProcessError
from hermes_cli.processes.events import read_lines
from hermes_cli.processes.outbox import FILE, KEPT, KEPT_FOR, Outbox, OutboxError
from hermes_cli.processes.types import Owner, Spec

ALICE = Owner(
    session_key="alice", platform="telegram", chat_id="42", user_id="7", user_name="Alice", thread_id="3"
)
BOB = Owner(session_key="bob")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Processes:
    """Directories as keepers leave them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = Clock()
        self._ids = itertools.count(1)
        self._seqs: dict[str, int] = {}

    def make(self, owner: Owner = ALICE, command: str = "make all", secrets: tuple[str, ...] = ()) -> str:
        process = f"proc_{next(self._ids):012x}"
        spec = Spec(process, command, ("sh",), "/", self.clock(), owner=owner, secrets=secrets)
        (self.directory / process).mkdir(parents=True)
        records.write_record(self.directory / process, records.SPEC, spec)
        return process

    def write(self, process: str, text: str) -> None:
        with (self.directory / process / records.EVENTS).open("a") as file:
            file.write(text)

    def tell(self, process: str, kind: str = "watch_match", **more: Any) -> None:
        seq = self._seqs[process] = self._seqs.get(process, 0) + 1
        self.write(process, json.dumps({"seq": seq, "at": self.clock(), "type": kind, **more}) + "\n")

    def outbox(self, tail: Callable[[str], str] | None = None) -> Outbox:
        return Outbox(self.directory, tail=tail, clock=self.clock)


@pytest.fixture
def processes(tmp_path: Path) -> Processes:
    return Processes(tmp_path / "processes")


def kinds(outbox: Outbox, owner: str | None = "alice") -> list[str]:
    return [event.type for event in outbox.pending(owner, limit=10_000)]


def test_a_match_comes_with_its_line_its_pattern_and_the_address_it_goes_to(processes: Processes) -> None:
    process = processes.make()
    processes.tell(process, pattern="ready", output="server \x1b[32mready\x1b[0m", suppressed=3, message="")
    outbox = processes.outbox()
    assert outbox.collect() == 1
    (event,) = outbox.pending("alice")
    assert (event.type, event.session_id, event.session_key) == ("watch_match", process, "alice")
    assert (event.pattern, event.output, event.suppressed, event.message) == (
        "ready",
        "server ready",
        3,
        None,
    )
    assert (event.command, event.created_at) == ("make all", 1_000_000.0)
    assert (event.platform, event.chat_id, event.user_id) == ("telegram", "42", "7")
    assert (event.user_name, event.thread_id) == ("Alice", "3")


def test_a_completion_comes_with_how_it_ended_and_the_end_of_the_output(processes: Processes) -> None:
    process = processes.make()
    processes.tell(process, "completion", state="killed", exit_code=143, signal=15, reason="asked by kill")
    outbox = processes.outbox(tail=lambda given: f"the last words of {given}")
    outbox.collect()
    (event,) = outbox.pending("alice")
    assert (event.status, event.exit_code, event.signal) == ("killed", 143, 15)
    assert (event.message, event.output) == ("asked by kill", f"the last words of {process}")


def test_a_completion_is_told_also_when_its_output_is_gone(processes: Processes) -> None:
    def tail(process: str) -> str:
        raise NoSuchProcessError(process)

    processes.tell(processes.make(), "completion", state="exited", exit_code=0)
    outbox = processes.outbox(tail)
    outbox.collect()
    (event,) = outbox.pending("alice")
    assert (event.exit_code, event.output) == (0, None)


def test_secrets_are_in_no_event_and_not_on_disk(processes: Processes) -> None:
    long = "s3cr3t" + "0123456789" * 40
    process = processes.make(command="deploy --key s3cr3tvalue", secrets=("s3cr3tvalue", long))
    processes.tell(process, pattern="s3cr3tvalue", output="using s3cr3tvalue", message="s3cr3tvalue")
    processes.tell(process, "completion", state="exited", exit_code=0)
    processes.tell(process, output=("x" * 3900 + long)[:4096])  # as a keeper cuts a line
    outbox = processes.outbox(tail=lambda _: "ends with s3cr3tvalue")
    outbox.collect()
    assert len(outbox.pending("alice")) == 3
    assert "s3cr3t" not in repr(outbox.pending("alice"))
    assert b"s3cr3t" not in (processes.directory / FILE).read_bytes()


def test_an_event_is_collected_once(processes: Processes) -> None:
    process = processes.make()
    processes.tell(process)
    one, other = processes.outbox(), processes.outbox()
    assert (one.collect(), one.collect(), other.collect()) == (1, 0, 0)
    processes.tell(process)
    assert (other.collect(), one.collect()) == (1, 0)
    first, second = one.pending("alice")
    assert second.id > first.id
    assert one.pending("alice", after_id=first.id) == [second]
    assert one.pending("alice", limit=1) == [first]


def test_an_owner_sees_and_acknowledges_nothing_of_another(processes: Processes) -> None:
    for owner in (ALICE, BOB, Owner()):
        processes.tell(processes.make(owner), output=str(owner.session_key))
    outbox = processes.outbox()
    outbox.collect()
    for key in ("alice", "bob", None):
        assert [event.output for event in outbox.pending(key)] == [str(key)]
    assert outbox.pending("") == []
    (bobs,) = outbox.pending("bob")
    assert outbox.acknowledge("alice", [bobs.id]) == 0
    assert outbox.acknowledge(None, [bobs.id]) == 0
    assert outbox.pending("bob") == [bobs]


def test_what_is_acknowledged_is_gone_and_its_number_is_never_used_again(processes: Processes) -> None:
    process = processes.make()
    processes.tell(process)
    outbox = processes.outbox()
    outbox.collect()
    (event,) = outbox.pending("alice")
    assert outbox.acknowledge("alice", [event.id, event.id, -1, 1 << 70]) == 1
    assert outbox.pending("alice") == []
    assert outbox.acknowledge("alice", [event.id]) == 0
    processes.tell(process)
    outbox.collect()
    assert outbox.pending("alice")[0].id > event.id


def test_a_flood_of_one_owner_is_cut_and_another_is_told_all(processes: Processes) -> None:
    for _ in range(20):
        processes.tell(processes.make())
    for _ in range(15):
        processes.tell(processes.make(BOB))
    outbox = processes.outbox()
    assert outbox.deadline() is None
    outbox.collect()
    assert kinds(outbox) == ["watch_match"] * 15 + ["watch_overflow_tripped"]
    assert kinds(outbox, "bob") == ["watch_match"] * 15
    assert outbox.deadline() == processes.clock.now + 30
    assert outbox.pending("alice")[-1].chat_id == "42"

    processes.tell(process := processes.make())
    processes.tell(process, "completion", state="exited", exit_code=0)
    processes.outbox().collect()
    assert kinds(outbox)[16:] == ["completion"]

    processes.clock.now += 30
    assert processes.outbox().collect() == 1
    released = outbox.pending("alice")[-1]
    assert (released.type, released.suppressed) == ("watch_overflow_released", 6)
    assert outbox.deadline() is None
    assert outbox.collect() == 0


def test_a_torn_last_line_waits_until_it_is_whole(processes: Processes) -> None:
    process = processes.make()
    processes.tell(process, output="one")
    line = json.dumps({"seq": 2, "at": 1.0, "type": "watch_match", "output": "zwölf"}, ensure_ascii=False)
    data = line.encode()
    outbox = processes.outbox()
    path = processes.directory / process / records.EVENTS
    whole = path.read_bytes()
    for cut in range(len(data) + 1):
        path.write_bytes(whole + data[:cut])
        outbox.collect()
        assert len(outbox.pending("alice")) == 1
    path.write_bytes(whole + data + b"\n")
    outbox.collect()
    assert [event.output for event in outbox.pending("alice")] == ["one", "zwölf"]


def test_a_torn_line_that_was_taken_back_gives_place_to_the_next(processes: Processes) -> None:
    process = processes.make()
    processes.tell(process)
    processes.write(process, '{"seq": 2, "at"')
    outbox = processes.outbox()
    outbox.collect()
    records.append_event(processes.directory / process, {"at": 5.0, "type": "completion", "state": "lost"})
    outbox.collect()
    assert kinds(outbox) == ["watch_match", "completion"]


def test_events_put_back_from_a_copy_are_not_told_again(processes: Processes) -> None:
    process = processes.make()
    path = processes.directory / process / records.EVENTS
    processes.tell(process)
    copy = path.read_bytes()
    processes.tell(process)
    outbox = processes.outbox()
    outbox.collect()
    path.write_bytes(copy)
    assert outbox.collect() == 0
    processes.tell(process)
    assert outbox.collect() == 1


@pytest.mark.parametrize(
    "rubbish",
    [
        "\0\xff\n",
        "[]\n",
        "null\n",
        '{"seq": 1}\n',
        '{"seq": 1, "type": "unheard_of"}\n',
        "{" * 100_000 + "\n",
    ],
)
def test_rubbish_among_the_events_stops_neither_the_outbox_nor_other_processes(
    processes: Processes, rubbish: str
) -> None:
    bad, good = processes.make(), processes.make()
    processes.write(bad, rubbish)
    processes.tell(good, output="fine")
    outbox = processes.outbox()
    assert outbox.collect() == 1
    assert outbox.collect() == 0
    assert [event.output for event in outbox.pending("alice")] == ["fine"]


def test_rubbish_values_in_an_event_are_left_out(processes: Processes) -> None:
    process = processes.make()
    processes.write(
        process,
        '{"seq": "x", "at": NaN, "type": "watch_match", "output": 5, "suppressed": [], '
        '"pattern": "\\ud800"}\n',
    )
    outbox = processes.outbox()
    outbox.collect()
    (event,) = outbox.pending("alice")
    assert (event.created_at, event.output, event.suppressed) == (processes.clock.now, None, None)


def test_other_things_in_the_directory_are_left_alone(processes: Processes) -> None:
    processes.tell(processes.make())
    (processes.directory / "proc_nothex").mkdir()
    (processes.directory / "proc_00000000ffff").write_text("a file")
    (processes.directory / "proc_00000000fffe").mkdir()
    link = processes.make()
    (processes.directory / link / records.EVENTS).symlink_to("/proc/self/environ")
    outbox = processes.outbox()
    assert outbox.collect() == 1


def test_how_much_was_taken_is_noted_beside_the_events(processes: Processes) -> None:
    """What removes old processes must not remove news."""
    process = processes.make()
    processes.tell(process)
    directory = processes.directory / process
    processes.outbox().collect()
    assert int((directory / records.TAKEN).read_text()) == (directory / records.EVENTS).stat().st_size
    (directory / records.TAKEN).unlink()
    processes.outbox().collect()
    assert int((directory / records.TAKEN).read_text()) == (directory / records.EVENTS).stat().st_size


def test_a_backlog_of_any_size_is_taken_by_one_collect(processes: Processes) -> None:
    process = processes.make()
    for number in range(900):
        processes.clock.now += 20
        processes.tell(process, output=f"{number} " + "x" * 4000)
    outbox = processes.outbox()
    assert outbox.collect() == 900
    assert len(outbox.pending("alice", limit=1000)) == 900


def test_what_nobody_acknowledges_goes_after_seven_days(processes: Processes) -> None:
    processes.tell(processes.make())
    outbox = processes.outbox()
    outbox.collect()
    processes.clock.now += KEPT_FOR - 1
    outbox.collect()
    assert len(outbox.pending("alice")) == 1
    processes.clock.now += 2
    outbox.collect()
    assert outbox.pending("alice") == []


def test_a_bounded_number_of_events_waits_and_completions_are_the_last_to_go(processes: Processes) -> None:
    process = processes.make()
    processes.tell(process, "completion", state="exited")
    for _ in range(KEPT + 50):
        processes.clock.now += 20
        processes.tell(process)
    outbox = processes.outbox()
    outbox.collect()
    found = kinds(outbox)
    assert len(found) == KEPT
    assert found[0] == "completion"


def test_a_removed_process_leaves_its_events_and_no_cursor(processes: Processes) -> None:
    process = processes.make()
    processes.tell(process)
    outbox = processes.outbox()
    outbox.collect()
    (processes.directory / process).rename(processes.directory / ".gone")
    outbox.collect()
    assert len(outbox.pending("alice")) == 1
    assert outbox._cursors("") == {}


@dataclasses.dataclass(frozen=True)
class News:
    session_id: str
    command: str
    owner: Owner
    events: tuple[dict[str, Any], ...]
    cursor: int


class Sandbox:
    """A registry somewhere else, of processes that are below `directory` there."""

    def __init__(self, directory: Path) -> None:
        self.there = Processes(directory)
        self.taken: dict[str, int] = {}

    def collect_events(self, cursors: Mapping[str, int], timeout: float = 0.0) -> list[News]:
        found = []
        for directory in sorted(self.there.directory.glob("proc_*")):
            spec = records.read_spec(directory)
            assert spec is not None
            lines = read_lines(directory, cursors.get(spec.id, 0))
            assert lines is not None
            if lines[0]:
                found.append(News(spec.id, spec.command, spec.owner, tuple(lines[0]), lines[1]))
        return found

    def events_taken(self, cursors: Mapping[str, int]) -> None:
        self.taken |= cursors


def test_the_events_of_a_sandbox_are_taken_once_and_beside_those_of_here(
    processes: Processes, tmp_path: Path
) -> None:
    sandbox = Sandbox(tmp_path / "sandbox")
    same_id = sandbox.there.make(ALICE)
    assert processes.make(BOB) == same_id
    sandbox.there.tell(same_id, pattern="ready", output="ready there TOKEN=abcdef")
    sandbox.there.tell(same_id, "completion", state="exited", exit_code=0, output="bye")
    processes.tell(same_id, output="ready here")
    outbox = processes.outbox()
    assert outbox.collect() == 1
    assert outbox.take("docker:box", sandbox) == 2
    assert sandbox.taken[same_id] == (sandbox.there.directory / same_id / records.EVENTS).stat().st_size
    assert (outbox.take("docker:box", sandbox), outbox.collect()) == (0, 0)
    assert [event.output for event in outbox.pending("alice")] == ["ready there TOKEN=[redacted]", "bye"]
    assert [event.output for event in outbox.pending("bob")] == ["ready here"]


def test_what_two_took_from_a_sandbox_at_once_is_told_once(processes: Processes, tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path / "sandbox")
    sandbox.there.tell(sandbox.there.make())

    class Slow(Sandbox):
        def collect_events(self, cursors: Mapping[str, int], timeout: float = 0.0) -> list[News]:
            found = super().collect_events(cursors, timeout)
            assert processes.outbox().take("box", sandbox) == 1
            return found

    slow = Slow(tmp_path / "sandbox")
    outbox = processes.outbox()
    assert outbox.take("box", slow) == 0
    assert slow.taken == {}
    assert len(outbox.pending("alice")) == 1


def test_a_waiter_is_woken_by_whoever_collects(processes: Processes) -> None:
    process = processes.make()
    outbox = processes.outbox()
    outbox.collect()

    def collect() -> None:
        processes.tell(process)
        processes.outbox().collect()

    collector = threading.Timer(0.1, collect)
    began = time.monotonic()
    collector.start()
    found = processes.outbox().wait("alice", 10)
    took = time.monotonic() - began
    collector.join()
    assert len(found) == 1
    assert took < 2
    assert outbox.wait("alice", 0.05, after_id=found[0].id) == []
    assert outbox.wait("bob", 0) == []


def test_an_outbox_where_there_are_no_processes_yet_is_empty(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "none")
    assert outbox.collect() == 0
    assert outbox.pending("alice") == []
    assert outbox.acknowledge("alice", [1]) == 0
    assert outbox.deadline() is None


def test_a_damaged_outbox_says_what_to_do_and_doing_it_tells_again_what_is_kept(processes: Processes) -> None:
    processes.tell(processes.make())
    outbox = processes.outbox()
    outbox.collect()
    path = processes.directory / FILE
    path.unlink()
    path.write_bytes(b"no database at all, but long enough to look at" * 100)
    with pytest.raises(OutboxError, match="remove it"):
        outbox.collect()
    with pytest.raises(OutboxError, match=r"outbox\.db"):
        outbox.pending("alice")
    path.unlink()
    assert outbox.collect() == 1


def test_an_outbox_of_a_newer_version_is_not_touched(processes: Processes) -> None:
    import apsw

    processes.tell(processes.make())
    connection = apsw.Connection(str(processes.directory / FILE))
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(OutboxError, match="newer Hermes"):
        processes.outbox().collect()


def test_the_outbox_is_for_its_user_alone(processes: Processes) -> None:
    processes.tell(processes.make())
    processes.outbox().collect()
    assert (processes.directory / FILE).stat().st_mode & 0o777 == 0o600


def test_threads_share_one_outbox(processes: Processes) -> None:
    names = [processes.make(Owner(session_key=f"owner{number}")) for number in range(4)]
    outbox = processes.outbox()
    failures: list[BaseException] = []

    def work(process: str, key: str) -> None:
        try:
            for _ in range(10):
                processes.tell(process)
                outbox.collect()
                outbox.pending(key)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name, f"owner{i}")) for i, name in enumerate(names)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert [len(outbox.pending(f"owner{number}")) for number in range(4)] == [10] * 4


# A disk that is full: writes beyond the limit fail as on one (EFBIG for ENOSPC).
FULL = """
import resource, signal, sys
from pathlib import Path
from hermes_cli.processes.outbox import Outbox, OutboxError
outbox = Outbox(Path(sys.argv[1]))
outbox.pending(None) or outbox.deadline()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    print("collected", outbox.collect())
except OutboxError as error:
    print("refused", error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print("then", outbox.collect())
"""


@pytest.mark.parametrize("room", [0, 1, 600, 5000, 30_000, 60_000])
def test_a_full_disk_loses_nothing_and_tells_nothing_twice(processes: Processes, room: int) -> None:
    process = processes.make()
    processes.outbox().collect()
    for number in range(100):
        processes.clock.now += 20
        processes.tell(process, output=f"{number} " + "x" * 500)
    program = [sys.executable, "-c", FULL, str(processes.directory), str(room)]
    run = subprocess.run(program, capture_output=True, text=True, check=True, timeout=30)
    refused, then = run.stdout.splitlines()
    assert "nothing is lost" in refused, run.stdout
    assert then == "then 100"
    outputs = [str(event.output).split()[0] for event in processes.outbox().pending("alice", limit=1000)]
    assert outputs == [str(number) for number in range(100)]


# Tells events while collectors are started and killed; prints what was told.
KILLED = """
import os, random, signal, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_outbox import Owner, Processes
processes = Processes(Path(sys.argv[1]))
chance = random.Random(sys.argv[2])
kept = [processes.make(Owner(session_key=f"owner{n}")) for n in range(5)]
told = 0
for turn in range(100):
    children = []
    for _ in range(chance.choice([1, 1, 2])):
        child = os.fork()
        if child == 0:
            processes.clock.now = 1e9  # its clock stands still, and no event is to be ahead of it
            outbox = processes.outbox()
            while True:
                outbox.collect()
        children.append(child)
    deadline = time.monotonic() + chance.random() * 0.03
    while time.monotonic() < deadline:
        processes.clock.now += 20
        processes.tell(chance.choice(kept), chance.choice(["watch_match", "completion"]), output=str(told))
        told += 1
        time.sleep(chance.random() * 0.004)
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
print(told)
"""


def test_a_collector_killed_at_any_point_tells_every_event_exactly_once(processes: Processes) -> None:
    seed = os.urandom(4).hex()
    program = [sys.executable, "-c", KILLED, str(processes.directory), seed, str(Path(__file__).parent)]
    run = subprocess.run(program, capture_output=True, text=True, timeout=50)
    assert run.returncode == 0, run.stderr
    told = int(run.stdout)
    processes.clock.now = 1e9
    outbox = processes.outbox()
    outbox.collect()
    events = [event for n in range(5) for event in outbox.pending(f"owner{n}", limit=10_000)]
    assert {event.type for event in events} <= {"watch_match", "completion"}
    expected = []
    for directory in sorted(processes.directory.glob("proc_*")):
        expected += [(directory.name, found["at"]) for found, _ in records.read_events(directory)]
    assert len(expected) == told
    assert told > 100
    assert sorted((str(event.session_id), event.created_at) for event in events) == sorted(expected), seed
    assert len({event.id for event in events}) == told


def test_two_collectors_at_once_tell_every_event_exactly_once(processes: Processes) -> None:
    names = [processes.make(Owner(session_key=f"owner{n}")) for n in range(5)]
    code = (
        "import sys; from pathlib import Path; from hermes_cli.processes.outbox import Outbox\n"
        "outbox = Outbox(Path(sys.argv[1])); count = 0\n"
        "while not Path(sys.argv[1], 'stop').exists(): count += outbox.collect()\n"
        "print(count + outbox.collect())"
    )
    program = [sys.executable, "-c", code, str(processes.directory)]
    collectors = [subprocess.Popen(program, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outbox = processes.outbox()
    for round_ in range(40):
        for name in names:
            processes.clock.now += 20
            processes.tell(name, "completion", state="exited", exit_code=round_)
        outbox.wait("owner4", 1, after_id=max((e.id for e in outbox.pending("owner4")), default=0))
    (processes.directory / "stop").touch()
    counts = [int(collector.communicate(timeout=20)[0]) for collector in collectors]
    assert sum(counts) == 200
    for number in range(5):
        codes = [event.exit_code for event in outbox.pending(f"owner{number}")]
        assert codes == list(range(40))


def test_an_event_survives_the_way_to_the_database_whole(processes: Processes) -> None:
    process = processes.make()
    processes.tell(
        process, "watch_disabled", pattern="ß", output="🙂 'quoted' \"x\"", suppressed=0, message="ended"
    )
    outbox = processes.outbox()
    outbox.collect()
    (event,) = outbox.pending("alice")
    assert (event.pattern, event.output, event.suppressed, event.message) == (
        *("ß", "🙂 'quoted' \"x\"", 0, "ended"),
    )
    assert dataclasses.replace(event, id=0).id == 0
