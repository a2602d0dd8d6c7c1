"""The invocation table: what `docker run IMAGE …` means, row by row."""

from __future__ import annotations

import json

import pytest

from tests.docker.containers import Docker, home_script, homes, mounted, wait_for

EXIT_CODES = [
    (("true",), 0),
    (("sh", "-c", "exit 7"), 7),
    (("sh", "-c", "kill -KILL $$"), 137),
    (("sh", "-c", "kill -TERM $$"), 143),
    (("sh", "-c", "exit 255"), 255),
    (("/etc/passwd",), 126),
    (("no-such-program",), 127),
    (("/no/such/program",), 127),
]


@pytest.mark.parametrize(
    ("command", "code"), EXIT_CODES, ids=lambda value: " ".join(value) if isinstance(value, tuple) else None
)
def test_the_exit_code_is_the_commands_own(engine: Docker, command: tuple[str, ...], code: int) -> None:
    assert engine.cli(command=command).code == code


def test_a_missing_program_is_named_with_what_to_do(engine: Docker) -> None:
    done = engine.cli(command=("no-such-program", "--flag"))
    assert done.err.strip() == (
        "hermes: no-such-program is neither a hermes command nor a program here; "
        "'hermes --help' lists the commands"
    )


def test_a_command_says_nothing_but_its_own_words(engine: Docker) -> None:
    done = engine.cli(command=("sh", "-c", "echo out; echo err >&2"))
    assert (done.out, done.err) == ("out\n", "err\n")


def test_arguments_arrive_as_they_were_typed(engine: Docker) -> None:
    words = ("a b", "", "*", "$HOME", "'", '"', "\\", "{ }", " leading", "ü\n2")
    done = engine.cli(command=("printf", "%s|", *words))
    assert done.ok() == "".join(f"{word}|" for word in words)


def test_a_command_runs_as_hermes_in_its_directory_with_the_environment(engine: Docker) -> None:
    script = 'echo "$(id -u):$(id -g):$(id -G)"; pwd; echo "$GREETING"; echo "$HOME"; echo "$USER"; pwd -P'
    done = engine.cli("-w", "/tmp", "-e", "GREETING=hello  world", command=("sh", "-c", script))
    assert done.ok().splitlines() == [
        "10000:10000:10000",
        "/tmp",
        "hello  world",
        "/opt/data",
        "hermes",
        "/tmp",
    ]


def test_without_w_a_command_starts_in_the_home(engine: Docker) -> None:
    assert engine.cli(command=("pwd",)).ok() == "/opt/data\n"


def test_standard_input_reaches_the_command_byte_for_byte(engine: Docker) -> None:
    sent = bytes(range(256)) * 4096
    argv = [*engine.argv("-i"), "sh", "-c", "md5sum; echo end"]
    import hashlib
    import subprocess

    done = subprocess.run(argv, input=sent, capture_output=True, timeout=40, check=True)
    assert done.stdout.decode() == f"{hashlib.md5(sent).hexdigest()}  -\nend\n"


def test_a_megabyte_through_cat_comes_back_whole(engine: Docker) -> None:
    import subprocess

    sent = b"0123456789abcdef" * 65536
    done = subprocess.run(
        [*engine.argv("-i"), "cat"], input=sent, capture_output=True, timeout=40, check=True
    )
    assert done.stdout == sent


def test_300000_lines_of_output_arrive_while_gateways_log(engine: Docker) -> None:
    """s6-log makes the stdout it shares non-blocking: 13,456 lines arrived when it was the command's."""
    volume = engine.volume(homes({"default": 8642, "noisy": 8643}))
    script = """
        for n in 1 2 3 4 5 6 7 8; do
          pid=$(s6-svstat -o pid /run/service/gateway-noisy)
          [ "$pid" -le 1 ] || kill -KILL "$pid"
          hermes nonsense
        done 2>/dev/null &
        seq 1 300000; wait
    """
    done = engine.cli("-v", f"{volume}:/opt/data", command=("sh", "-c", script))
    lines = done.ok().split("\n")
    assert len(lines) == 300001
    assert lines[:-1] == [str(n) for n in range(1, 300001)]


@pytest.mark.parametrize("word", ["status", "profile", "doctor"])
def test_a_hermes_subcommand_wins_over_a_program_of_that_name(engine: Docker, word: str) -> None:
    box = engine.create(word, "--help")
    box.put(f"/usr/local/bin/{word}", "#!/bin/sh\necho the program\n", mode=0o755)
    assert box.start().exit_code() == 0
    assert "the program" not in box.logs()
    assert f"hermes {word}" in box.logs()


def test_a_program_named_by_its_path_is_that_program(engine: Docker) -> None:
    box = engine.create("/usr/local/bin/status")
    box.put("/usr/local/bin/status", "#!/bin/sh\necho the program\n", mode=0o755)
    assert box.start().exit_code() == 0
    assert box.logs() == "the program\n"


def test_a_subcommand_keeps_its_output_and_exit_code(engine: Docker) -> None:
    report = json.loads(engine.cli(command=("status", "--json")).ok())
    assert report["supervisor"] == "s6"
    wrong = engine.cli(command=("status", "--no-such-option"))
    assert wrong.code == 2
    assert "--no-such-option" in wrong.err


def test_an_option_alone_is_given_to_hermes(engine: Docker) -> None:
    assert engine.cli(command=("--version",)).ok().startswith("hermes ")
    assert engine.cli(command=("-p", "default", "profile", "list")).code == 0


def test_chat_says_in_one_sentence_that_no_gateway_runs(engine: Docker) -> None:
    done = engine.cli(command=("chat", "-q", "hello there"))
    assert done.code == 1
    assert done.out == ""
    assert done.err.startswith("hermes: ")
    assert len(done.err.strip().splitlines()) == 1


def test_gateway_run_starts_the_supervised_slot_and_follows_it(engine: Docker) -> None:
    box = engine.start("gateway", "run").booted()
    slot = box.ready("default")
    assert len(box.gateways("default")) == 1
    assert box.gateways("default") == [slot.pid]
    assert json.loads(box.read("/opt/data/gateway_intent.json"))["intent"] == "running"
    took = box.stop()
    assert took < 8
    assert box.exit_code() in (0, 143)


def test_gateway_run_ends_with_78_when_its_gateway_parks(engine: Docker) -> None:
    volume = engine.volume(
        "printf 'gateway:\\n  port: not-a-number\\n' >config.yaml && chown 10000:10000 . config.yaml"
    )
    done = engine.cli("-v", f"{volume}:/opt/data", command=("gateway", "run"))
    assert done.code == 78, done
    assert "config.yaml" in done.out + done.err


@pytest.mark.parametrize("how", ["option", "environment"])
def test_gateway_run_in_the_foreground_needs_no_slot(engine: Docker, how: str) -> None:
    if how == "option":
        box = engine.start("gateway", "run", "--no-supervise")
    else:
        box = engine.start("gateway", "run", environment={"HERMES_GATEWAY_NO_SUPERVISE": "1"})
    box.booted()
    state = wait_for(lambda: box.sh("cat /opt/data/gateway_state.json").out, 20, "gateway state")
    wait_for(
        lambda: json.loads(box.read("/opt/data/gateway_state.json"))["state"] == "running",
        20,
        f"running ({state})",
    )
    slot = box.gateway("default")
    assert slot is not None
    assert not slot.up
    box.stop()
    assert box.exit_code() in (0, 143)
    assert "Traceback" not in box.logs()


def test_without_a_command_the_container_says_what_runs_and_what_to_type(engine: Docker) -> None:
    volume = engine.volume(homes({"default": 8642, "coder": 8643}))
    box = engine.boot(**mounted(volume))
    log = box.said("Next:")
    assert "Hermes" in log
    assert "coder" in log
    box.ready("coder")
    box.said("ready")
    box.hermes("-p", "coder", "gateway", "stop").ok()
    wait_for(lambda: "coder" in box.logs().rpartition("Next:")[2], 10, "event of coder in plain words")


def test_with_init_it_warns_and_runs_the_command_unsupervised(engine: Docker) -> None:
    done = engine.cli("--init", command=("sh", "-c", "id -u; exit 5"))
    assert done.code == 5
    assert done.out == "10000\n"
    assert done.err.count("\n") == 1
    assert "not PID 1" in done.err


def test_in_a_shared_pid_namespace_it_warns_and_runs_the_command(engine: Docker) -> None:
    done = engine.cli("--pid=host", command=("sh", "-c", "id -u; exit 6"))
    assert (done.code, done.out) == (6, "10000\n")
    assert "not PID 1" in done.err


def test_with_init_and_no_command_the_container_stays_and_says_so(engine: Docker) -> None:
    box = engine.start(init=True)
    box.said("Next:")
    assert "nothing is supervised" in box.logs() or "nothing supervises" in box.logs()
    assert box.hermes("gateway", "start").code == 1
    box.stop()
    assert box.exit_code() in (0, 143)


def test_with_init_a_gateway_runs_in_the_foreground(engine: Docker) -> None:
    box = engine.start("gateway", "run", init=True)
    wait_for(
        lambda: '"running"' in box.sh("cat /opt/data/gateway_state.json").out,
        20,
        "gateway that runs by itself",
    )
    box.stop()
    assert box.exit_code() in (0, 143)


def test_an_alias_is_a_command_of_the_container(engine: Docker) -> None:
    volume = engine.volume(home_script("coder", 8643, intent=None))
    done = engine.cli("-v", f"{volume}:/opt/data", command=("coder", "gateway", "status", "--json"))
    assert json.loads(done.ok())["profile"] == "coder"
