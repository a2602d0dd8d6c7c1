"""Who the container runs as: ids by environment, --user, and every confinement that is supported."""

from __future__ import annotations

import pytest

from tests.docker.containers import Docker

CONFINED = ("--cap-drop=ALL", "--security-opt", "no-new-privileges")


@pytest.mark.parametrize(
    "names", [("HERMES_UID", "HERMES_GID"), ("PUID", "PGID")], ids=lambda names: names[0]
)
def test_the_ids_of_the_service_user_come_from_the_environment(
    engine: Docker, names: tuple[str, str]
) -> None:
    uid, gid = names
    script = 'echo "$(id -u):$(id -g):$(id -un)"; stat -c %u:%g /opt/data /opt/data/config.yaml'
    done = engine.cli("-e", f"{uid}=1234", "-e", f"{gid}=5678", command=("sh", "-c", script))
    assert done.ok().splitlines() == ["1234:5678:hermes", "1234:5678", "1234:5678"]


def test_hermes_uid_counts_more_than_puid(engine: Docker) -> None:
    done = engine.cli("-e", "HERMES_UID=1234", "-e", "PUID=4321", command=("id", "-u"))
    assert done.ok() == "1234\n"


@pytest.mark.parametrize("uid", [1, 65534])
def test_the_ids_at_the_ends_of_the_range_work(engine: Docker, uid: int) -> None:
    assert engine.cli("-e", f"HERMES_UID={uid}", command=("id", "-u")).ok() == f"{uid}\n"


@pytest.mark.parametrize("name", ["HERMES_UID", "HERMES_GID", "PUID", "PGID"])
@pytest.mark.parametrize("value", ["0", "65535", "abc", "-1"])
def test_an_id_out_of_range_stops_the_container_with_a_sentence(
    engine: Docker, name: str, value: str
) -> None:
    done = engine.cli("-e", f"{name}={value}", command=("touch", "/opt/data/was-here"))
    assert done.code == 1
    sentence = done.err.splitlines()[0]
    assert value in sentence
    assert "1 to 65534" in sentence
    assert name.removeprefix("HERMES_").removeprefix("P") in sentence


def test_user_10000_works_with_no_capability_no_new_privileges_and_a_read_only_root(engine: Docker) -> None:
    options = ("--user", "10000", *CONFINED, "--read-only", "--tmpfs", "/run:exec,uid=10000,mode=0755")
    done = engine.cli(
        *options, command=("sh", "-c", "id -u; hermes profile create coder >/dev/null && hermes profile list")
    )
    assert done.ok().startswith("10000\n")
    assert "coder" in done.out


def test_user_10000_needs_nothing_else(engine: Docker) -> None:
    assert engine.cli("--user", "10000", *CONFINED, command=("id", "-u")).ok() == "10000\n"


def test_a_gateway_runs_and_restarts_as_the_only_user(engine: Docker) -> None:
    box = engine.boot(user="10000", cap_drop=["ALL"], security_opt=["no-new-privileges"])
    box.hermes("profile", "create", "coder").ok()
    box.hermes("-p", "coder", "gateway", "start").ok()
    first = box.ready("coder")
    box.hermes("-p", "coder", "gateway", "restart").ok()
    assert box.ready("coder").pid != first.pid
    assert box.sh("stat -c %u /proc/[0-9]* 2>/dev/null | sort -u").ok() == "10000\n"
    box.hermes("profile", "delete", "--yes", "coder").ok()
    assert box.gateway("coder") is None


def test_any_user_works_where_everything_it_writes_is_its_own(engine: Docker) -> None:
    options = (
        "--user",
        "12345:12345",
        "--tmpfs",
        "/run:exec,uid=12345,mode=0755",
        "--tmpfs",
        "/opt/data:uid=12345,mode=0700",
    )
    assert engine.cli(*options, command=("id", "-u")).ok() == "12345\n"


@pytest.mark.parametrize("init", [False, True], ids=["supervised", "with --init"])
def test_an_unsupported_user_is_refused_before_anything_runs(engine: Docker, init: bool) -> None:
    done = engine.cli(*(["--init"] if init else []), "--user", "12345", command=("echo", "it ran"))
    assert done.code == 100
    assert "it ran" not in done.out
    last = done.err.splitlines()[-1]
    assert "12345" in last
    assert "--user 10000" in last


def test_the_remedy_named_to_an_unsupported_user_is_one(engine: Docker) -> None:
    refused = engine.cli("--user", "12345", command=("id", "-u"))
    tmpfs = refused.err.split("--tmpfs ", 1)[1].split()[0]
    then = engine.cli("--user", "12345", "--tmpfs", tmpfs, command=("id", "-u"))
    assert "/opt/data" in then.err
    assert then.code == 100
    assert engine.cli("--user", "10000", command=("id", "-u")).code == 0


def test_root_without_capabilities_is_refused_with_the_missing_ones(engine: Docker) -> None:
    done = engine.cli("--cap-drop=ALL", command=("echo", "it ran"))
    assert (done.code, done.out) == (100, "")
    for capability in ("CHOWN", "DAC_OVERRIDE", "KILL", "SETGID", "SETUID"):
        assert capability in done.err


def test_the_capabilities_it_names_are_enough(engine: Docker) -> None:
    refused = engine.cli("--cap-drop=ALL", command=("id", "-u")).err
    named = refused.split("capabilities ", 1)[1].split(";")[0].split(",")
    options = [f"--cap-add={capability}" for capability in named]
    assert engine.cli("--cap-drop=ALL", *options, command=("id", "-u")).ok() == "10000\n"


def test_root_gives_up_everything_for_the_command(engine: Docker) -> None:
    done = engine.cli(command=("grep", "-E", "^(Uid|Gid|Groups|CapEff|CapPrm|CapAmb):", "/proc/self/status"))
    fields = {line.split(":")[0]: line.split(":")[1].split() for line in done.ok().splitlines()}
    assert set(fields["Uid"]) == {"10000"}
    assert set(fields["Gid"]) == {"10000"}
    assert set(fields["Groups"]) <= {"10000"}
    for capabilities in ("CapEff", "CapPrm", "CapAmb"):
        assert int(fields[capabilities][0], 16) == 0


@pytest.mark.parametrize(
    ("options", "remedy"),
    [(("--read-only",), "--tmpfs /run:exec"), (("--tmpfs", "/run"), "--tmpfs /run:exec")],
    ids=["read-only", "noexec /run"],
)
def test_a_run_directory_that_cannot_be_used_is_refused_with_the_remedy(
    engine: Docker, options: tuple[str, ...], remedy: str
) -> None:
    done = engine.cli(*options, command=("true",))
    assert done.code == 100
    assert remedy in done.err


def test_a_read_only_root_works_with_a_tmpfs_on_run(engine: Docker) -> None:
    done = engine.cli(
        "--read-only", "--tmpfs", "/run:exec", command=("sh", "-c", "id -u; hermes profile list >/dev/null")
    )
    assert done.ok() == "10000\n"
    assert done.err == ""


def test_docker_exec_as_root_drops_to_hermes(engine: Docker) -> None:
    box = engine.boot("sleep", "infinity")
    box.hermes("profile", "create", "coder", user="0").ok()
    assert box.sh("find /opt/data /run/hermes/env /run/hermes/locks -not -user 10000").ok() == ""
