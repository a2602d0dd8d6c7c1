"""`hermes events`: every event once, in words, whatever happens to the log."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from threading import Thread

import pytest
from click.testing import CliRunner, Result

from hermes_cli.cli.main import cli, run
from hermes_cli.gateway import supervision_log
from hermes_cli.gateway.supervision_log import EventFollower, read_events, record_event
from hermes_cli.profiles import create_profile

OLD = "2020-01-01T00:00:00Z"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "home"
    root.mkdir()
    monkeypatch.setenv("HERMES_HOME", str(root))
    monkeypatch.setenv("TZ", "UTC")
    create_profile("coder", root=root)
    return root


def write(root: Path, profile: str, event: str = "ready", ts: str = OLD, **more: object) -> None:
    """A line as other programs write it: the shell's, an older version's, a newer one's."""
    path = root / "logs" / "supervision.jsonl"
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as log:
        log.write(json.dumps({"ts": ts, "profile": profile, "event": event, **more}) + "\n")


def events(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["events", *arguments], catch_exceptions=False)


class Following:
    """A real `hermes events -f`."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "hermes_cli.cli.main", "events", "-f", *arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
        )
        self._lines: Queue[str] = Queue()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def next(self) -> str:
        return self._lines.get(timeout=30)

    def end(self, number: int = signal.SIGINT) -> tuple[int, str]:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=30)
        self._reader.join(timeout=30)
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        said = "" if self.process.stderr.closed else self.process.stderr.read().strip()
        self.process.stdout.close()
        self.process.stderr.close()
        return code, said

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self._lines.put(text.rstrip("\n"))


@pytest.fixture
def following(root: Path) -> Iterator[Following]:
    write(root, "coder", "registered")
    one = Following()
    assert one.next().endswith("coder: the gateway is registered")
    yield one
    one.end()


def test_events_are_told_oldest_first_in_the_words_of_hermes_main(root: Path) -> None:
    write(root, "coder", "crashed", signal="SIGKILL")
    write(root, "default", "ready", "2020-01-01T00:00:05Z", detail="http://127.0.0.1:8642")
    assert events().stdout.splitlines() == [
        "2020-01-01 00:00:00  coder: the gateway crashed, killed by SIGKILL; it is started again",
        "2020-01-01 00:00:05  default: the gateway is ready (http://127.0.0.1:8642)",
    ]


def test_no_events_are_no_error(root: Path) -> None:
    result = events()
    assert (result.exit_code, result.output) == (0, "")


def test_json_is_one_object_a_line_as_in_the_log(root: Path) -> None:
    write(root, "coder", "parked", code=78, detail="a\nb")
    write(root, "coder")
    lines = [json.loads(line) for line in events("--json").stdout.splitlines()]
    assert lines == [
        {"ts": OLD, "profile": "coder", "event": "parked", "code": 78, "detail": "a\nb"},
        {"ts": OLD, "profile": "coder", "event": "ready"},
    ]


def test_profiles_are_chosen_by_option_and_by_the_global_one(root: Path) -> None:
    for name in ("default", "coder", "gone"):
        write(root, name)
    assert events("--profile", "coder", "--profile", "gone").stdout.count("\n") == 2
    chosen = CliRunner().invoke(cli, ["-p", "coder", "events"]).stdout
    assert "coder: " in chosen
    assert chosen.count("\n") == 1


def test_a_profile_that_never_was_is_an_error_that_names_the_nearest(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for more in ([], ["-f"]):
        assert run(["events", "--profile", "codr", *more]) == 1
        assert "there is no profile 'codr'; did you mean 'coder'?" in capsys.readouterr().err
    assert run(["events", "--profile", "../etc"]) == 2


def test_since_takes_a_stretch_and_a_time(root: Path) -> None:
    write(root, "old")
    write(root, "rubbish", ts="soon")
    record_event(root, "new", "ready")
    assert events("--since", "1h").stdout.count("\n") == 1
    assert "new: " in events("--since", "1h").stdout
    assert "old: " in events("--since", "2019-12-31").stdout
    assert "old: " not in events("--since", "2020-01-01T00:00:01Z").stdout
    for wrong in ("soon", "-1h", "1y", "", "99999999999h", "9" * 400):
        assert events("--since", wrong).exit_code == 2, wrong


def test_the_last_few_are_asked_for_by_number(root: Path) -> None:
    for number in range(5):
        write(root, f"p{number}")
    assert [line.split()[2] for line in events("-n", "2").stdout.splitlines()] == ["p3:", "p4:"]
    assert events("-n", "0").stdout == ""


def test_hostile_text_is_shown_harmlessly(root: Path) -> None:
    write(root, "coder\x1b[2J", "parked", detail="\x1b]0;owned\x07\r\u202eevil\nsecond line")
    write(root, "x", "\x1b[31mred", signal="\x9b2J")
    lines = events().stdout.splitlines()
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)


def test_torn_and_foreign_lines_are_left_out(root: Path) -> None:
    write(root, "first")
    with (root / "logs" / "supervision.jsonl").open("ab") as log:
        log.write(b'{"ts":"2020\n[]\n\xff\xfe\n' + b"[" * 9000 + b"\n{}\n")
    write(root, "last", "from-the-future", future={"a": 1})
    assert [line.split()[2] for line in events().stdout.splitlines()] == ["first:", "last:"]


def test_it_follows_over_rotations_from_many_writers(root: Path, following: Following) -> None:
    names = ["a", "b", "c"]
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(str(root), name, 120)) for name in names]
    for writer in writers:
        writer.start()
    seen: dict[str, list[int]] = {name: [] for name in names}
    for _ in range(120 * len(names)):
        words = following.next().split()
        seen[words[2].rstrip(":")].append(int(words[-1]))
    for writer in writers:
        writer.join(30)
    assert seen == {name: list(range(120)) for name in names}
    assert (root / "logs" / "supervision.jsonl.1").exists()


def _write_many(root: str, profile: str, count: int) -> None:
    supervision_log.ROTATE_AT = 6000
    for number in range(count):
        record_event(Path(root), profile, "exited", code=number)
        time.sleep(0.002)


def test_an_interrupt_ends_it_quietly_with_130(root: Path, following: Following) -> None:
    assert following.end() == (130, "")


def test_it_waits_for_a_log_and_a_directory_that_are_not_there_yet(tmp_path: Path, root: Path) -> None:
    following = Following()
    deadline = time.monotonic() + 30
    while following.process.poll() is None and time.monotonic() < deadline:
        write(root, "coder")
        try:
            assert "coder: " in following._lines.get(timeout=0.5)
            break
        except Exception:
            continue
    assert following.end() == (130, "")


def test_following_begins_with_the_last_few_and_shows_only_what_was_asked_for(root: Path) -> None:
    for number in range(30):
        write(root, "coder", "exited", code=number)
        write(root, "default", "exited", code=number)
    following = Following("--profile", "coder")
    assert [following.next().split()[-1] for _ in range(20)] == [str(number) for number in range(10, 30)]
    record_event(root, "default", "ready")
    record_event(root, "coder", "draining")
    assert following.next().endswith("coder: the gateway drains")
    assert following.end() == (130, "")


def test_a_reader_that_goes_away_ends_it(root: Path) -> None:
    for number in range(3):
        write(root, "coder", "exited", code=number)
    command = f"{sys.executable} -m hermes_cli.cli.main events -f | head -n 1"
    pipe = subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert pipe.stdout is not None
        assert "coder: " in pipe.stdout.readline()
        deadline = time.monotonic() + 30
        while pipe.poll() is None and time.monotonic() < deadline:
            record_event(root, "coder", "ready")
            time.sleep(0.05)
        assert pipe.poll() is not None, "it goes on although nobody reads"
        assert pipe.stderr is not None
        assert pipe.stderr.read() == ""
    finally:
        pipe.kill()
        pipe.communicate()


def test_a_rotation_between_the_looks_at_both_files_loses_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, "first")
    path = root / "logs" / "supervision.jsonl"
    real, rotated = supervision_log._content, False

    def rotating(file: Path) -> tuple[bytes, int]:
        nonlocal rotated
        found = real(file)
        if not rotated:
            rotated = True
            path.replace(path.with_name(path.name + ".1"))
            write(root, "second")
        return found

    monkeypatch.setattr(supervision_log, "_content", rotating)
    assert [event.profile for event in read_events(root)] == ["first", "second"]
    rotated = False
    with EventFollower(root) as follower:
        assert [event.profile for event in follower.past()] == ["second", "second"]


def test_it_loads_nothing_heavy(root: Path) -> None:
    program = (
        "import sys; from hermes_cli.cli.main import run; run(['events']); "
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"rich", "textual", "asyncio", "starlette", "yaml", "ruamel", "http", "ssl"}
