"""One set of cases for every environment: on this machine, in a container, on a host reached by ssh."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hermes_cli.processes.environments import Environment
from hermes_cli.processes.errors import (
    AmbiguousIdError,
    BadCursorError,
    BadPatternError,
    NoSuchProcessError,
    NotRunningError,
    ProcessError,
    StartError,
    StdinClosedError,
    TooManyProcessesError,
)
from hermes_cli.processes.limits import Limits
from hermes_cli.processes.types import MIN_CAP, Owner, StartRequest
from tests.integration.processes.sandboxes import Sandbox, wait_for

Connect = Callable[..., Environment]


def start(environment: Environment, command: str, **options: object) -> str:
    return environment.start(StartRequest(command=command, **options)).session_id  # type: ignore[arg-type]


def ended(environment: Environment, session_id: str) -> tuple[str, int | None, str]:
    waited = environment.wait(session_id, timeout=30)
    return waited.status, waited.exit_code, waited.output


def test_a_command_runs_and_its_output_and_exit_code_are_there(environment: Environment) -> None:
    session_id = start(environment, "printf 'one\\ntwo\\n'; exit 3")
    assert ended(environment, session_id) == ("exited", 3, "one\ntwo\n")
    polled = environment.poll(session_id, cursor=0)
    assert (polled.output, polled.cursor, polled.status, polled.exit_code) == ("one\ntwo\n", 8, "exited", 3)
    logged = environment.log(session_id, limit=1)
    assert (logged.output, logged.total_lines, logged.showing) == ("two", 2, "lines 2-2 of 2")


def test_it_is_listed_with_its_owner_and_what_it_says(environment: Environment) -> None:
    owner = Owner(session_key="s", task_id="t")
    session_id = start(environment, "echo listening; sleep 60", owner=owner)
    start(environment, "sleep 60")
    wait_for(lambda: environment.poll(session_id).output, 10, "output")
    [row] = environment.list(session_key="s")
    assert (row.session_id, row.status, row.task_id) == (session_id, "running", "t")
    assert row.output_preview == "listening\n"
    assert row.cwd == environment.working_directory(None)[0]
    assert len(environment.list()) == environment.running_count() == 2
    assert environment.has_active_processes("t")
    assert environment.has_active_for_session("s")
    assert not environment.has_active_for_session("t")
    assert environment.find(session_id[5:10]) == session_id
    assert environment.spec(session_id).owner == owner


def test_what_is_forgotten_is_listed_no_more_once_it_has_ended(environment: Environment) -> None:
    kept, forgotten = start(environment, "true"), start(environment, "sleep 60")
    environment.forget(forgotten)
    assert forgotten in [row.session_id for row in environment.list()]
    environment.kill(forgotten, grace=1)

    def left() -> list[str]:
        environment.clean()
        return [row.session_id for row in environment.list()]

    wait_for(lambda: left() == [kept], 20, "only the other to be left")
    with pytest.raises(NoSuchProcessError):
        environment.forget(forgotten)


def test_arguments_go_without_a_shell_and_bytes_that_are_no_text_arrive(environment: Environment) -> None:
    started = environment.start(StartRequest(argv=("printf", "%s|", "a b", "$HOME", "\udcff")))
    assert ended(environment, started.session_id)[2] == "a b|$HOME|�|"


def test_a_kill_ends_the_last_descendant(environment: Environment, sandbox: Sandbox) -> None:
    script = "setsid sleep 1234 & (trap '' TERM; sleep 1235) & echo up; wait"
    session_id = start(environment, script)
    wait_for(lambda: "up" in environment.poll(session_id).output, 10, "output")
    mark = f"HERMES_PROCESS_ID={session_id}"
    living = f"grep -lz '{mark}' /proc/[0-9]*/environ 2>/dev/null | wc -l"
    assert int(sandbox.sh(living)) >= 3
    killed = environment.kill(session_id, grace=0.3)
    assert killed.status == "killed"
    assert killed.ended >= 3
    assert int(sandbox.sh(living)) == 0
    assert environment.kill(session_id).status == "already_exited"
    assert environment.poll(session_id).status == "killed"


def test_input_is_written_submitted_and_closed(environment: Environment) -> None:
    session_id = start(environment, "cat; echo end")
    data = bytes(range(32, 127)) + b"\n" + "grüße\n".encode()
    assert environment.write(session_id, data).bytes_written == len(data)
    assert environment.submit(session_id, "typed").status == "ok"
    assert environment.close(session_id).status == "closed"
    assert ended(environment, session_id) == ("exited", 0, data.decode() + "typed\nend\n")


def test_a_megabyte_goes_in_and_comes_out_again(environment: Environment) -> None:
    session_id = start(
        environment, "cat >/dev/null; wc -c </dev/null; head -c 3000000 /dev/zero | tr '\\0' x"
    )
    assert environment.write(session_id, b"y" * (1 << 20)).bytes_written == 1 << 20
    environment.close(session_id)
    assert ended(environment, session_id)[:2] == ("exited", 0)
    read, cursor = "", 0
    while (polled := environment.poll(session_id, cursor=cursor)).output:
        read, cursor = read + polled.output, polled.cursor
    assert read == "0\n" + "x" * 3_000_000


def test_a_terminal_has_the_size_it_is_given(environment: Environment) -> None:
    session_id = start(environment, "stty size; read line; stty size", pty=True, rows=31, columns=123)
    wait_for(lambda: "31 123" in environment.poll(session_id).output, 10, "size")
    environment.resize(session_id, 40, 99)
    environment.submit(session_id, "go")
    assert ended(environment, session_id)[2].splitlines() == ["31 123", "go", "40 99"]


def test_a_signal_reaches_the_command(environment: Environment) -> None:
    script = "trap 'echo told; exit 7' USR1; echo up; while :; do sleep 0.05; done"
    session_id = start(environment, script)
    wait_for(lambda: "up" in environment.poll(session_id).output, 10, "output")
    environment.signal(session_id, 10)
    status, code, output = ended(environment, session_id)
    assert (status, code) == ("exited", 7)
    assert "told" in output


def test_a_match_is_told_while_somebody_waits_for_it(environment: Environment) -> None:
    owner = Owner(session_key="s", platform="cli", chat_id="7")
    with ThreadPoolExecutor(1) as pool:
        news = pool.submit(environment.collect_events, {}, 20.0)
        session_id = start(
            environment, "echo calm; echo an ERROR here; sleep 60", watch_patterns=("ERROR",), owner=owner
        )
        began = time.monotonic()
        [found] = news.result(20)
    assert time.monotonic() - began < 3
    assert (found.session_id, found.owner) == (session_id, owner)
    [event] = found.events
    assert (event["type"], event["pattern"], event["output"]) == ("watch_match", "ERROR", "an ERROR here")
    assert environment.collect_events({session_id: found.cursor}) == []


def test_an_end_is_told_once_and_kept_until_it_was_taken(connect: Connect) -> None:
    environment = connect(limits=Limits(kept_after_end=0.0))
    owner = Owner(session_key="s")
    session_id = start(environment, "echo last words; exit 4", notify_on_complete=True, owner=owner)
    [found] = environment.collect_events({}, 20.0)
    [event] = found.events
    assert (event["type"], event["state"], event["exit_code"]) == ("completion", "exited", 4)
    assert event["output"] == "last words\n"
    environment.wait(session_id, timeout=10)
    assert environment.collect_events({session_id: found.cursor}, 0.1) == []
    assert environment.clean() == 0
    environment.events_taken({session_id: found.cursor})
    assert wait_for(environment.clean, 10, "cleaning") == 1


def test_a_lost_keeper_is_told_to_whoever_waits(environment: Environment, sandbox: Sandbox) -> None:
    session_id = start(environment, "sleep 60", notify_on_complete=True)
    kill = f"case $(readlink $p/cwd) in */{session_id}) kill -9 ${{p#/proc/}};; esac"
    with ThreadPoolExecutor(1) as pool:
        news = pool.submit(environment.collect_events, {}, 20.0)
        sandbox.sh(f"for p in /proc/[0-9]*; do {kill}; done")
        began = time.monotonic()
        [found] = news.result(20)
    assert time.monotonic() - began < 4
    assert (found.session_id, found.events[0]["state"]) == (session_id, "lost")
    polled = environment.poll(session_id)
    assert polled.status == "lost"
    assert "keeper" in str(polled.reason)


def test_output_beyond_the_cap_is_dropped_from_the_middle_and_said(
    environment: Environment, sandbox: Sandbox, profile: str
) -> None:
    session_id = start(environment, "seq 1 400000", cap_bytes=MIN_CAP)
    assert ended(environment, session_id)[:2] == ("exited", 0)
    assert environment.poll(session_id, cursor=0).output.startswith("1\n2\n3\n")
    assert environment.log(session_id, limit=1).output == "400000"
    logged = environment.log(session_id, offset=0, limit=10_000)
    assert logged.total_lines == 400_000
    used = int(sandbox.sh(f"du -sb {sandbox.state(profile)}/{session_id} | cut -f 1"))
    assert used <= MIN_CAP + 16384  # du counts directories too


def test_one_process_more_than_the_limit_is_refused(connect: Connect) -> None:
    environment = connect(limits=Limits(tracked=3))
    for _ in range(3):
        start(environment, "sleep 60")
    with pytest.raises(TooManyProcessesError, match="3 are the most"):
        start(environment, "sleep 60")
    assert environment.running_count() == 3


def test_what_cannot_be_done_is_a_typed_error(environment: Environment) -> None:
    done = start(environment, "true")
    environment.wait(done, timeout=10)
    asleep = start(environment, "sleep 60", stdin="null")
    for given in ("proc_ffffffffffff", "", "nonsense", "ffff"):
        with pytest.raises(NoSuchProcessError) as missing:
            environment.poll(given)
        assert missing.value.given == given
    with pytest.raises(NotRunningError) as over:
        environment.write(done, b"x")
    assert over.value.state == "exited"
    with pytest.raises(StdinClosedError):
        environment.write(asleep, b"x")
    with pytest.raises(BadCursorError):
        environment.poll(done, cursor=1)
    with pytest.raises(BadCursorError):
        environment.log(done, offset=-1)
    with pytest.raises(BadPatternError) as pattern:
        start(environment, "true", watch_patterns=("re:(",))
    assert pattern.value.pattern == "re:("
    with pytest.raises(ProcessError, match="no terminal"):
        environment.resize(asleep, 10, 10)
    with pytest.raises(ProcessError):
        environment.write(asleep, b"x" * ((1 << 20) + 1))
    for request in (
        StartRequest(command=" "),
        StartRequest(argv=("there-is-no-such-program",)),
        StartRequest(command="true", shell="/no/shell"),
        StartRequest(command="true", environment={"A": "\0"}),
        StartRequest(),
    ):
        with pytest.raises(StartError):
            environment.start(request)
    assert len(environment.list()) == 2


def test_the_beginning_of_two_ids_is_ambiguous(
    environment: Environment, sandbox: Sandbox, profile: str
) -> None:
    session_id = start(environment, "true")
    environment.wait(session_id, timeout=10)
    state = sandbox.state(profile)
    other = session_id[:9] + "".join("0" if digit != "0" else "1" for digit in session_id[9:])
    sandbox.sh(
        f"cd {state} && mkdir {other} && cp {session_id}/status.json {other}/ && "
        f"sed s/{session_id}/{other}/ {session_id}/spec.json >{other}/spec.json"
    )
    with pytest.raises(AmbiguousIdError) as both:
        environment.poll(session_id[:9])
    assert sorted(both.value.matches) == sorted([session_id, other])


def test_secrets_of_the_profile_are_masked_and_not_kept_there(
    connect: Connect, sandbox: Sandbox, profile: str
) -> None:
    secret = "correct-horse-battery"
    environment = connect(secrets=(secret,))
    # The command does not hold it in one piece, as nobody would have put it there.
    session_id = start(environment, "printf '%s-%s\\n' correct-horse battery", notify_on_complete=True)
    assert ended(environment, session_id)[2] == "[redacted]\n"
    assert environment.poll(session_id, cursor=0).output == "[redacted]\n"
    assert environment.log(session_id).output.strip() == "[redacted]"
    [found] = environment.collect_events({}, 10.0)
    assert found.events[0]["output"] == "[redacted]\n"
    files = f"find {sandbox.state(profile)} -name '*.json*' -exec cat {{}} +"
    assert secret not in sandbox.sh(files)


def test_a_directory_is_where_the_command_runs(environment: Environment, sandbox: Sandbox) -> None:
    assert environment.working_directory("/usr") == ("/usr", None)
    assert ended(environment, start(environment, "pwd", cwd="/usr"))[2] == "/usr\n"
    home = sandbox.sh("cd && pwd -P").strip()
    assert environment.home_directory == home
    assert environment.working_directory("~") == (home, None)


@pytest.mark.parametrize("cwd", ["/no/such/place", "relative", "/etc/passwd", "/usr\0"])
def test_a_directory_that_is_nowhere_is_refused(environment: Environment, cwd: str) -> None:
    with pytest.raises(StartError):
        environment.start(StartRequest(command="true", cwd=cwd))
    with pytest.raises(StartError):
        environment.working_directory(cwd)
    assert environment.list() == []


def test_the_directory_of_the_configuration_is_where_commands_run(connect: Connect) -> None:
    environment = connect(workdir="/usr/bin")
    assert environment.working_directory(None) == ("/usr/bin", None)
    assert ended(environment, start(environment, "pwd"))[2] == "/usr/bin\n"


@pytest.mark.only("docker")
def test_a_directory_of_this_machine_alone_is_replaced_with_a_warning(
    environment: Environment, tmp_path: Path
) -> None:
    cwd, warning = environment.working_directory(str(tmp_path))
    assert cwd == "/work"
    assert warning is not None
    assert str(tmp_path) in warning
    started = environment.start(StartRequest(command="pwd", cwd=str(tmp_path)))
    assert started.warnings == (warning,)
    assert ended(environment, started.session_id)[2] == "/work\n"


def test_a_long_wait_keeps_nobody_from_asking(environment: Environment) -> None:
    session_id = start(environment, "read line; echo got $line")
    with ThreadPoolExecutor(8) as pool:
        waits = [pool.submit(environment.wait, session_id, 30) for _ in range(7)]
        for _ in range(5):
            began = time.monotonic()
            assert environment.poll(session_id).status == "running"
            assert time.monotonic() - began < 1
        environment.submit(session_id, "it")
        assert {wait.result(10).output for wait in waits} == {"got it\n"}


def test_a_wait_returns_at_the_end_and_says_when_it_was_cut(connect: Connect) -> None:
    environment = connect(limits=Limits(longest_wait=0.5))
    session_id = start(environment, "sleep 60")
    waited = environment.wait(session_id, timeout=1000)
    assert waited.status == "timeout"
    assert "0.5 s at most" in str(waited.timeout_note)
    with ThreadPoolExecutor(1) as pool:
        wait = pool.submit(environment.wait, start(environment, "sleep 0.2; date +%s.%N"))
        output = wait.result(10).output
    assert time.time() - float(output) < 1


def test_a_wait_can_be_interrupted(environment: Environment) -> None:
    session_id = start(environment, "sleep 60")
    asked = threading.Event()
    threading.Timer(0.3, asked.set).start()
    began = time.monotonic()
    assert environment.wait(session_id, 30, interrupted=asked.is_set).status == "interrupted"
    assert time.monotonic() - began < 3
    assert environment.poll(session_id).status == "running"


def test_output_is_waited_for(environment: Environment) -> None:
    session_id = start(environment, "read line; echo more; sleep 60")
    with ThreadPoolExecutor(1) as pool:
        wait = pool.submit(environment.wait_for_output, session_id, 0, 30.0)
        began = time.monotonic()
        environment.submit(session_id, "")
        wait.result(10)
    assert time.monotonic() - began < 3
    assert environment.poll(session_id, cursor=0).output == "more\n"


def test_two_clients_see_and_do_the_same(connect: Connect) -> None:
    first, second = connect(), connect()
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda one: start(one, "cat"), (first, second, first, second)))
    assert {row.session_id for row in first.list()} == {row.session_id for row in second.list()} == set(ids)
    for one, session_id in zip((second, first, second, first), ids, strict=True):
        one.submit(session_id, "to the other's")
        one.close(session_id)
        assert ended(one, session_id)[2] == "to the other's\n"


def test_everything_is_there_again_after_letting_go(environment: Environment) -> None:
    session_id = start(environment, "echo before; read line; echo $line")
    environment.disconnect()
    environment.submit(session_id, "after")
    environment.disconnect()
    assert ended(environment, session_id)[2] == "before\nafter\n"


def test_everything_is_ended_together(environment: Environment) -> None:
    for _ in range(3):
        start(environment, "trap '' TERM; sleep 60")
    killed = environment.kill_all(grace=0.2)
    assert [one.status for one in killed] == ["killed"] * 3
    assert environment.running_count() == 0
