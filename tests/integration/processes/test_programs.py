"""Real programs under their keepers: what they print, how they end, what they leave behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from hermes_cli.processes import records
from hermes_cli.processes.errors import (
    NotRunningError,
    ProcessError,
    StartError,
    StdinClosedError,
)
from tests.integration.processes.keeping import Place, alive, eventually, living

PYTHON = sys.executable


def script(text: str) -> tuple[str, ...]:
    return (PYTHON, "-c", text)


# Terminals


def test_a_python_prompt_in_a_terminal_answers_and_knows_its_size(place: Place) -> None:
    repl = place.start((PYTHON, "-q", "-i"), pty=True, rows=31, columns=101)
    place.until(repl, ">>> ")
    place.registry.submit(repl, "import os; print(*os.get_terminal_size())")
    place.until(repl, "101 31")
    place.registry.submit(repl, "import signal; signal.signal(signal.SIGWINCH, lambda *_: print('resized'))")
    place.until(repl, "<Handlers.SIG_DFL")
    place.registry.resize(repl, 50, 120)
    place.until(repl, "resized\n")
    place.registry.submit(repl, "print(*os.get_terminal_size())")
    place.until(repl, "120 50")
    place.registry.close(repl)
    assert place.end(repl).exit_code == 0


def test_an_interrupt_character_reaches_the_program_in_the_terminal(place: Place) -> None:
    repl = place.start((PYTHON, "-q", "-i"), pty=True)
    place.until(repl, ">>> ")
    place.registry.submit(repl, "import time; print('asleep'); time.sleep(60)")
    place.until(repl, "\nasleep")
    place.registry.write(repl, b"\x03")
    place.until(repl, "KeyboardInterrupt")


def test_the_end_of_a_terminal_in_the_middle_of_a_line_is_an_end_too(place: Place) -> None:
    cat = place.start("cat; echo over", pty=True)
    place.registry.write(cat, b"unfinished")
    place.registry.close(cat)
    assert place.end(cat).exit_code == 0
    assert "over" in place.output(cat)


def test_the_last_words_of_a_terminal_are_kept(place: Place) -> None:
    for _ in range(5):
        talker = place.start("seq 1 5000; printf last-words", pty=True)
        place.end(talker)
        assert place.output(talker).endswith("\n5000\nlast-words")


def test_a_program_that_closes_its_terminal_is_not_hung_up(place: Place) -> None:
    closer = place.start("exec 0<&- 1>&- 2>&-; sleep 0.3; echo back >/dev/tty; exit 3", pty=True)
    status = place.end(closer)
    assert (status.state, status.exit_code) == ("exited", 3)
    assert "back" in place.output(closer)


def test_a_process_without_a_terminal_has_no_size(place: Place) -> None:
    sleeper = place.start("sleep 60")
    with pytest.raises(ProcessError, match="no terminal"):
        place.registry.resize(sleeper, 10, 10)


# Output


def test_output_is_there_at_once_and_without_newlines(place: Place) -> None:
    talker = place.start("printf now; sleep 60")
    assert place.until(talker, "now") == "now"
    assert place.registry.log(talker).output == "now"
    assert place.registry.log(talker).total_lines == 1


def test_half_a_character_waits_for_its_other_half(place: Place, tmp_path: Path) -> None:
    go = tmp_path / "go"
    os.mkfifo(go)
    talker = place.start(f"printf 'caf\\303'; cat {go}; printf '\\251!'")
    place.until(talker, "caf")
    page = place.registry.poll(talker, 0)
    assert (page.output, page.cursor) == ("caf", 3)
    go.write_bytes(b"")
    place.end(talker)
    assert place.registry.poll(talker, page.cursor).output == "é!"


def test_stdout_and_stderr_are_kept_apart_and_in_order(place: Place) -> None:
    talker = place.start("for i in 1 2 3; do echo out$i; sleep 0.02; echo err$i >&2; sleep 0.02; done")
    place.end(talker)
    assert place.output(talker) == "out1\nerr1\nout2\nerr2\nout3\nerr3\n"


def test_a_program_that_closes_its_output_runs_on_and_its_end_is_known(place: Place) -> None:
    closer = place.start("echo before; exec >&- 2>&-; sleep 0.2; exit 7")
    status = place.end(closer)
    assert (status.state, status.exit_code, place.output(closer)) == ("exited", 7, "before\n")


def test_endless_output_stays_under_its_cap_and_says_what_was_dropped(place: Place) -> None:
    cap = 1 << 20
    endless = place.start("echo first; yes 'a line like every other' ", cap_bytes=cap)
    most = 0
    deadline = time.monotonic() + 6
    while place.registry.poll(endless).cursor < 40 << 20 and time.monotonic() < deadline:
        most = max(most, weight(place.directory / endless))
    place.registry.kill(endless, 0)
    most = max(most, weight(place.directory / endless))
    assert most <= cap
    first = place.registry.log(endless, 0, 2)
    assert first.output == "first\na line like every other"
    assert "\na line like every other\n" in place.registry.log(endless).output
    total = place.registry.poll(endless).cursor
    assert total > 10 << 20
    cursor = read = dropped = 0
    while cursor < total:
        page = place.registry.poll(endless, cursor)
        read, dropped, cursor = read + len(page.output), dropped + page.dropped_bytes, page.cursor
    assert read + dropped == total
    assert dropped > 8 << 20
    assert (
        place.registry.log(endless, 0, 10_000).dropped_bytes
        or place.registry.log(endless, 0).total_lines > 10_000
    )


def test_matches_that_are_told_stay_under_the_cap_too(place: Place) -> None:
    watched = place.start(
        "yes 'ERROR line that is watched for' | head -c 50000000",
        cap_bytes=256 << 10,
        watch_patterns=("ERROR",),
    )
    place.end(watched)
    assert weight(place.directory / watched) <= 256 << 10
    assert (place.directory / watched / records.EVENTS).exists()


def weight(directory: Path) -> int:
    """Bytes on disk, in whole blocks."""
    total = 0
    for path, _, names in os.walk(directory):
        for name in names:
            try:
                total += (Path(path) / name).lstat().st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def test_a_compiler_run_is_kept_with_its_complaint_and_its_code(place: Place, tmp_path: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler here (Debian: apt-get install gcc)")
    (tmp_path / "good.c").write_text('#include <stdio.h>\nint main(void) { puts("compiled"); return 4; }\n')
    (tmp_path / "bad.c").write_text("int main(void) { return nowhere; }\n")
    good = place.start("cc -Wall -o good good.c && ./good", cwd=str(tmp_path))
    bad = place.start(("cc", "bad.c"), cwd=str(tmp_path))
    assert (place.end(good).exit_code, place.output(good)) == (4, "compiled\n")
    assert place.end(bad).exit_code == 1
    assert "nowhere" in place.output(bad)


def test_a_server_serves_until_it_is_killed(place: Place) -> None:
    server = place.start((PYTHON, "-m", "http.server", "0", "--bind", "127.0.0.1"), cwd="/")
    port = int(place.until(server, "port ").split("port ")[1].split()[0])
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.0 200")
    killed = place.registry.kill(server)
    assert (killed.status, killed.ended) == ("killed", 1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)


# Ends


def test_a_program_that_ends_before_anybody_looks_is_there_with_its_end(place: Place) -> None:
    for code in range(8):
        quick = place.start(("/bin/sh", "-c", f"exit {code}"), notify_on_complete=True)
        assert place.end(quick).exit_code == code
        events = records.read_events(place.directory / quick)
        assert [(event["type"], event["exit_code"]) for event, _ in events] == [("completion", code)]


def test_who_learns_of_the_end_finds_everything_that_was_written_before(place: Place, tmp_path: Path) -> None:
    go = tmp_path / "go"
    os.mkfifo(go)
    talker = place.start(f"cat {go}; seq 1 60000; exit 2")
    keeper = place.keeper(talker)
    os.kill(keeper, signal.SIGSTOP)
    try:
        go.write_bytes(b"")
        command = place.status(talker).pid
        eventually(lambda: not alive(command), "it has written and ended, with nobody reading")
    finally:
        os.kill(keeper, signal.SIGCONT)
    assert place.registry.wait(talker, 8).exit_code == 2
    assert place.status(talker).output_bytes == place.registry.poll(talker).cursor == 348_894


def test_a_signal_of_its_own_is_an_end_with_that_signal(place: Place) -> None:
    ended = place.start("kill -SEGV $$")
    status = place.end(ended)
    assert (status.state, status.exit_code, status.signal) == ("exited", 139, 11)


def test_waiting_returns_within_a_tenth_of_a_second_of_the_end(place: Place) -> None:
    late = []
    for _ in range(5):
        waited = place.start(script("import time; time.sleep(0.4); print(time.time(), flush=True)"))
        place.registry.wait(waited, 8)
        late.append(time.time() - float(place.output(waited)))
    assert sorted(late)[2] < 0.1, late


def test_a_program_that_ignores_term_is_killed_after_the_grace(place: Place) -> None:
    stubborn = place.start("trap '' TERM; echo ready; while :; do sleep 1; done")
    place.until(stubborn, "ready")
    began = time.monotonic()
    killed = place.registry.kill(stubborn, grace=0.5)
    assert 0.5 <= time.monotonic() - began < 5
    assert (killed.status, killed.signal) == ("killed", 9)
    assert living(stubborn) == []


def test_a_program_that_minds_term_ends_in_its_own_way(place: Place) -> None:
    polite = place.start("trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.1; done")
    place.until(polite, "ready")
    killed = place.registry.kill(polite, grace=5)
    assert (killed.status, killed.exit_code, killed.signal) == ("killed", 5, None)
    assert "bye\n" in place.output(polite)
    assert place.registry.kill(polite).status == "already_exited"


def test_a_stopped_program_is_ended_too(place: Place) -> None:
    stopped = place.start("echo ready; kill -STOP $$; echo on")
    place.until(stopped, "ready")
    assert place.registry.kill(stopped, grace=3).status == "killed"


def test_two_who_kill_at_once_are_both_told(place: Place) -> None:
    import threading

    stubborn = place.start("trap '' TERM; echo ready; sleep 60 & wait; sleep 60")
    place.until(stubborn, "ready")
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(place.another().kill(stubborn, 0.3).status))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["killed"] * 4


def test_a_kill_that_races_the_end_says_what_was_seen(place: Place) -> None:
    for number in range(12):
        racer = place.start(f"sleep 0.0{number}")
        killed = place.registry.kill(racer, grace=1)
        state = place.end(racer).state
        assert (killed.status, state) in (("killed", "killed"), ("already_exited", "exited")), killed


DAEMON = """
import os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
print("daemon", os.getpid(), flush=True)
if "clear" in sys.argv: os.execve("/bin/sleep", ["sleep", "60"], {})
time.sleep(60)
"""


@pytest.mark.parametrize("environment", ["kept", "clear"])
def test_a_daemon_that_forked_twice_and_left_the_session_is_found_and_ended(
    place: Place, environment: str
) -> None:
    starter = place.start(f"{PYTHON} -c '{DAEMON}' {environment}; exit 6")
    text = place.until(starter, "daemon ")
    pid = int(text.split("daemon ")[1].split()[0])
    assert place.registry.wait(starter, 8).exit_code == 6
    row = place.registry.list()[0]
    assert row.status == "exited"
    assert row.descendants in (1, 2)  # for a moment with what is between
    assert alive(pid)
    killed = place.registry.kill(starter, grace=2)
    assert killed.status == "killed"
    assert killed.ended >= 1
    assert not alive(pid)
    assert place.status(starter).control == ""


def test_output_of_what_is_left_behind_is_kept(place: Place, tmp_path: Path) -> None:
    go = tmp_path / "go"
    os.mkfifo(go)
    starter = place.start(f"(cat {go}; echo later) & echo now")
    assert place.registry.wait(starter, 8).status == "exited"
    page = place.registry.poll(starter, 0)
    assert page.output == "now\n"
    go.write_bytes(b"")
    place.end(starter)
    assert place.registry.poll(starter, page.cursor).output == "later\n"


def test_a_small_fork_bomb_is_ended_to_the_last(place: Place) -> None:
    bomb = (
        "import os, time\n"
        "for _ in range(4): os.fork()\n"
        "end = time.monotonic() + 20\n"
        "while time.monotonic() < end:\n"
        "    if os.fork() == 0: time.sleep(0.2); os._exit(0)\n"
        "    time.sleep(0.05)\n"
        "    try: os.waitpid(-1, os.WNOHANG)\n"
        "    except ChildProcessError: pass\n"
    )
    bombing = place.start(
        script("import signal\nsignal.signal(15, signal.SIG_IGN)\nprint('on', flush=True)\n" + bomb)
    )
    place.until(bombing, "on")
    eventually(lambda: len(living(bombing)) > 16, "it multiplies")
    killed = place.registry.kill(bombing, grace=0)
    assert killed.status == "killed"
    assert killed.ended >= 16
    assert living(bombing) == []


def test_a_process_that_a_process_starts_is_on_its_own(place: Place) -> None:
    inner = (
        "from pathlib import Path\n"
        "from hermes_cli.processes.registry import Registry\n"
        "from hermes_cli.processes.types import StartRequest\n"
        f"r = Registry(Path({str(place.directory)!r}), default_cwd='/')\n"
        "print(r.start(StartRequest(command='echo inner; sleep 60')).session_id, flush=True)\n"
        "import time; time.sleep(60)\n"
    )
    root = str(Path(records.__file__).parent.parent.parent)
    outer = place.start(script(inner), environment={"PYTHONPATH": root})
    inner_id = place.until(outer, "\n").strip()
    place.started.append(inner_id)
    place.until(inner_id, "inner")
    assert place.registry.kill(outer, grace=1).status == "killed"
    assert place.status(outer).control == ""
    assert place.registry.poll(inner_id).status == "running"
    os.kill(place.keeper(inner_id), 0)


# Stdin


def test_what_is_written_is_read_and_the_end_ends_it(place: Place) -> None:
    cat = place.start("cat; echo done")
    assert place.registry.write(cat, b"one\n").bytes_written == 4
    assert place.registry.submit(cat, "two").bytes_written == 4
    place.until(cat, "two\n")
    assert place.registry.close(cat).status == "closed"
    assert place.end(cat).exit_code == 0
    assert place.output(cat) == "one\ntwo\ndone\n"
    with pytest.raises(NotRunningError):
        place.registry.write(cat, b"more")


def test_stdin_that_nobody_reads_is_a_partial_write(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hermes_cli.processes.registry._WRITE_PATIENCE", 0.3)
    sleeper = place.start("sleep 60")
    first = place.registry.write(sleeper, b"x" * (1 << 20))
    second = place.registry.write(sleeper, b"y" * 1000)
    assert first.bytes_written + second.bytes_written <= 1 << 20
    assert second.status == "partial"
    assert place.registry.poll(sleeper).status == "running"


def test_a_megabyte_written_arrives_whole(place: Place) -> None:
    counter = place.start("wc -c")
    for _ in range(4):
        assert place.registry.write(counter, b"z" * (1 << 20)).bytes_written == 1 << 20
    place.registry.close(counter)
    place.end(counter)
    assert place.output(counter).strip() == str(4 << 20)


def test_closed_stdin_is_said_to_be_closed(place: Place) -> None:
    sleeper = place.start("sleep 60")
    assert place.registry.close(sleeper).status == "closed"
    assert place.registry.close(sleeper).status == "already_closed"
    with pytest.raises(StdinClosedError):
        place.registry.write(sleeper, b"x")
    without = place.start("sleep 60", stdin="null")
    with pytest.raises(StdinClosedError):
        place.registry.write(without, b"x")


def test_a_program_that_closed_its_stdin_is_no_end_of_the_keeper(place: Place) -> None:
    closer = place.start("exec 0<&-; echo closed; sleep 60")
    place.until(closer, "closed")
    with pytest.raises(StdinClosedError):
        place.registry.write(closer, b"x")
    assert place.registry.poll(closer).status == "running"


# What cannot be started


@pytest.mark.parametrize(
    ("command", "options", "cause"),
    [
        (("/no/such/program",), {}, "no program"),
        (("no-such-program-in-path",), {}, "no program"),
        (("/etc/passwd",), {}, "may not be executed"),
        (("/",), {}, "may not be executed"),
        ("true", {"cwd": "/no/such/directory"}, "does not exist"),
        ("true", {"shell": "/no/such/shell"}, "no program"),
        (("true", "x" * 300_000), {}, "too much|longer than"),
        (("true\0false",), {}, "NUL"),
        ("true", {"environment": {"A=B": "c"}}, "no name for a variable"),
        ("true", {"user": "no-such-user-here"}, "no user"),
    ],
)
def test_what_cannot_be_started_is_a_sentence_and_leaves_nothing(
    place: Place, command: str | tuple[str, ...], options: dict[str, object], cause: str
) -> None:
    with pytest.raises(StartError, match=cause):
        place.start(command, **options)
    assert [path.name for path in place.directory.glob("[!.]*")] == []
    assert place.registry.list() == []


def test_a_missing_interpreter_is_named_as_the_cause(place: Place, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)
    with pytest.raises(StartError, match="interpreter"):
        place.start((str(program),))
