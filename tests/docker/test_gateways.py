"""A gateway's life: created, started, stopped, killed, parked, renamed, deleted; each end verified."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.docker.containers import Box, Docker, Slot, home_script, homes, mounted, wait_for


def intent(box: Box, profile: str) -> str:
    record: dict[str, Any] = json.loads(box.read(f"/opt/data/profiles/{profile}/gateway_intent.json"))
    return str(record["intent"])


def slot(box: Box, profile: str) -> Slot:
    found = box.gateway(profile)
    assert found is not None, f"no slot of {profile}"
    return found


def row(box: Box, profile: str) -> dict[str, Any]:
    """The profile's line of `hermes status --json`."""
    (found,) = (one for one in box.json("status")["services"] if one["profile"] == profile)
    return dict(found)


def answers(box: Box, port: int, path: str = "/healthz") -> int:
    """The HTTP status a client inside the container gets, 0 for none."""
    script = (
        "import sys, urllib.request, urllib.error\n"
        "try: print(urllib.request.urlopen(sys.argv[1], timeout=5).status)\n"
        "except urllib.error.HTTPError as error: print(error.code)\n"
        "except OSError: print(0)"
    )
    url = f"http://127.0.0.1:{port}{path}"
    return int(box.run("/opt/hermes/venv/bin/python", "-c", script, url, user=10000).ok())


def test_a_created_profile_has_a_slot_that_is_down_a_port_a_token_and_an_alias(engine: Docker) -> None:
    box = engine.boot(**mounted(engine.volume()))
    said = box.hermes("profile", "create", "coder").ok()
    assert "coder gateway start" in said
    state = slot(box, "coder")
    assert (state.up, state.normally_up) == (False, False)
    assert box.sh("stat -c %a:%u /opt/data/profiles/coder/.env").ok() == "600:10000\n"
    assert "HERMES_GATEWAY_TOKEN=" in box.read("/opt/data/profiles/coder/.env")
    assert box.sh("cmp /run/hermes/bin/coder /opt/hermes/docker/alias").code == 0
    shown = json.loads(box.run("coder", "profile", "show", "--json").ok())
    assert shown["name"] == "coder"
    taken = box.hermes("profile", "create", "coder")
    assert taken.code == 1
    assert len(taken.err.strip().splitlines()) == 1


def test_start_stop_and_restart_return_when_it_is_so(engine: Docker) -> None:
    box = engine.boot(**mounted(engine.volume(home_script("coder", 8643, intent=None))))

    began = time.monotonic()
    box.run("coder", "gateway", "start").ok()
    print(f"start to ready: {time.monotonic() - began:.2f} s")
    first = slot(box, "coder")
    assert (first.ready, intent(box, "coder")) == (True, "running")
    assert answers(box, 8643) == 200
    assert answers(box, 8643, "/v1/status") == 401
    box.run("coder", "gateway", "start").ok()
    assert slot(box, "coder").pid == first.pid

    box.run("coder", "gateway", "restart").ok()
    second = slot(box, "coder")
    assert second.ready
    assert second.pid != first.pid
    assert box.gateways("coder") == [second.pid]

    box.run("coder", "gateway", "stop").ok()
    stopped = slot(box, "coder")
    assert (stopped.up, stopped.wanted, intent(box, "coder")) == (False, False, "stopped")
    assert box.gateways("coder") == []
    assert answers(box, 8643) == 0
    box.run("coder", "gateway", "stop").ok()

    box.run("coder", "gateway", "restart").ok()
    assert (slot(box, "coder").ready, intent(box, "coder")) == (True, "running")
    words = [event["event"] for event in box.events() if event["profile"] == "coder"]
    assert words.count("ready") == 3
    assert words.count("exited") == 2
    assert "crashed" not in words


def test_a_killed_gateway_is_ready_again_at_once(engine: Docker) -> None:
    box = engine.boot(**mounted(engine.volume(homes({"coder": 8643}))))
    first = box.ready("coder")
    wait_for(lambda: row(box, "coder")["uptime_seconds"] > 1, 10, "gateway up for more than a second")
    began = time.monotonic()
    box.signal(first.pid)
    second = box.ready("coder", 10, not_pid=first.pid)
    took = time.monotonic() - began
    print(f"killed to ready: {took:.2f} s")
    assert took < 4
    assert box.gateways("coder") == [second.pid]
    report = row(box, "coder")
    assert report["restarts"] == 1
    assert report["ready"]
    crashed = [event for event in box.events() if event["event"] == "crashed"]
    assert [event["signal"] for event in crashed] == ["SIGKILL"]


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_a_killed_supervisor_comes_back_and_ends_with_the_gateway_that_is_wanted(
    engine: Docker, state: str
) -> None:
    box = engine.boot(**mounted(engine.volume(homes({"coder": 8643}))))
    box.ready("coder")
    if state == "stopped":
        box.hermes("-p", "coder", "gateway", "stop").ok()
    before = box.supervisors()
    (supervisor,) = (pid for pid, line in box.processes() if line == "s6-supervise gateway-coder")
    box.signal(supervisor)

    def settled() -> bool:
        found = box.gateway("coder")
        if found is None or box.supervisors() != before:
            return False
        if state == "stopped":
            return not found.up and box.gateways("coder") == []
        return found.ready and box.gateways("coder") == [found.pid]

    wait_for(settled, 20, f"one supervisor, and a {state} gateway")
    # The service user may still give it orders.
    done = box.hermes("-p", "coder", "gateway", "restart", user=10000)
    done.ok()
    assert box.gateways("coder") == [slot(box, "coder").pid]


def test_a_crash_loop_parks_and_a_start_revives(engine: Docker) -> None:
    box = engine.boot(**mounted(engine.volume(homes({"coder": 8643, "other": 8644}))))
    killed: set[int] = set()

    def parked() -> bool:
        state = slot(box, "coder")
        if state.ready and state.pid not in killed:
            killed.add(state.pid)
            box.signal(state.pid)
        return state.parked

    wait_for(parked, 45, "parked gateway")
    assert len(killed) == 5
    report = row(box, "coder")
    assert (report["actual"], report["wanted"]) == ("parked", "up")
    assert "crash loop" in report["parked_reason"]
    assert box.json("status")["healthy"] is False
    assert "coder" in box.hermes("status", "--healthy").out
    assert slot(box, "other").ready
    assert [event["event"] for event in box.events() if event["profile"] == "coder"][-1] == "parked"

    box.hermes("-p", "coder", "gateway", "start").ok()
    assert slot(box, "coder").ready
    assert row(box, "coder")["restarts"] == 0
    assert box.sh("ls /opt/data/profiles/coder/parked.json").code != 0
    assert box.json("status")["healthy"] is True


def test_a_configuration_error_parks_with_file_line_and_what_was_expected(engine: Docker) -> None:
    box = engine.boot(**mounted(engine.volume(home_script("coder", 8643, intent=None))))
    config = "/opt/data/profiles/coder/config.yaml"
    box.put(config, "gateway:\n  drain_timeout: soon\n  port: 8643\n", uid=10000)
    refused = box.hermes("-p", "coder", "gateway", "start")
    assert refused.code in (1, 78)
    assert "Traceback" not in refused.err
    for words in ("config.yaml", "2", "drain_timeout", "number"):
        assert words in refused.err
    assert not slot(box, "coder").up
    box.put(config, "gateway:\n  port: 8643\n", uid=10000)
    box.hermes("-p", "coder", "gateway", "start").ok()
    assert slot(box, "coder").ready


def test_a_port_that_is_taken_parks_and_names_the_holder(engine: Docker) -> None:
    box = engine.boot(
        **mounted(engine.volume(homes({"first": 8643}) + home_script("second", 8643, intent=None)))
    )
    box.ready("first")
    refused = box.hermes("-p", "second", "gateway", "start")
    assert refused.code in (1, 78)
    assert "8643" in refused.err
    assert "first" in refused.err
    assert not slot(box, "second").up
    assert slot(box, "first").ready


def test_delete_leaves_nothing(engine: Docker) -> None:
    box = engine.boot(**mounted(engine.volume()))
    before = box.supervisors()
    box.hermes("profile", "create", "coder", "--start").ok()
    assert slot(box, "coder").ready
    refused = box.hermes("profile", "delete", "coder")
    assert refused.code == 2
    assert "--yes" in refused.err
    box.hermes("profile", "delete", "--yes", "coder").ok()
    assert box.gateways("coder") == []
    # A lock's file stays: removing it would let two commands hold one lock.
    left = box.sh("find /run /opt/data -name '*coder*' -not -path '/run/hermes/locks/*' -not -name '*.lock'")
    assert left.out == ""
    assert box.supervisors() == before
    assert box.run("sh", "-c", "command -v coder").code != 0
    box.hermes("profile", "create", "coder", "--start").ok()
    assert slot(box, "coder").ready


def test_a_renamed_profile_goes_on_under_its_new_name(engine: Docker) -> None:
    box = engine.boot(**mounted(engine.volume(homes({"old": 8643}))))
    box.ready("old")
    box.hermes("profile", "rename", "old", "new").ok()
    assert slot(box, "new").ready
    assert box.gateway("old") is None
    assert box.gateways("old") == []
    assert box.run("sh", "-c", "command -v old").code != 0
    assert row(box, "new")["port"] == 8643
    assert answers(box, 8643) == 200


@pytest.mark.parametrize("name", ["sleep", "sh", "python3", "cat"])
def test_an_alias_never_stands_before_a_program(engine: Docker, name: str) -> None:
    box = engine.boot(**mounted(engine.volume()))
    before = box.sh(f"command -v {name}").out
    said = box.hermes("profile", "create", name).ok()
    if before:
        assert "no command" in said
    assert box.sh(f"command -v {name}").out == (before or f"/run/hermes/bin/{name}\n")


def test_a_slots_environment_reaches_its_gateway_and_no_other(engine: Docker) -> None:
    box = engine.boot(**mounted(engine.volume(home_script("coder", 8643, intent=None))))
    value = "two\nlines, 'quotes' and a blank at the end "
    script = (
        "import sys\n"
        "from hermes_cli.service_manager import get_service_manager\n"
        "manager = get_service_manager()\n"
        "manager.unregister_profile_gateway('coder')\n"
        "manager.register_profile_gateway('coder', extra_env={'GREETING': sys.argv[1]}, start_now=True)\n"
    )
    box.run("/opt/hermes/venv/bin/python", "-c", script, value, user=10000).ok()
    pid = box.ready("coder").pid
    environment = box.run("cat", f"/proc/{pid}/environ", user=10000).ok().split("\0")
    assert f"GREETING={value}" in environment
    box.hermes("gateway", "start").ok()
    other = slot(box, "default").pid
    assert "GREETING" not in box.run("cat", f"/proc/{other}/environ", user=10000).ok()


def test_a_gateway_sees_the_containers_environment_and_its_env_file_over_it(engine: Docker) -> None:
    script = homes({"coder": 8643}) + "echo FROM_BOTH=file >>profiles/coder/.env"
    box = engine.boot(
        environment={"FROM_CONTAINER": "yes", "FROM_BOTH": "container"}, **mounted(engine.volume(script))
    )
    pid = box.ready("coder").pid
    assert "FROM_CONTAINER=yes" in box.run("cat", f"/proc/{pid}/environ", user=10000).ok().split("\0")
    box.stop()


def test_its_words_are_in_its_log_and_in_the_containers(engine: Docker) -> None:
    box = engine.boot(**mounted(engine.volume(homes({"coder": 8643}))))
    box.ready("coder")
    log = box.hermes("-p", "coder", "gateway", "logs").ok()
    assert "8643" in log
    line = next(line for line in log.splitlines() if "8643" in line)
    box.said(line.split(" ", 2)[-1].strip())
    both = box.hermes("gateway", "logs", "--all").ok()
    assert "coder" in both


def test_status_tells_what_is_wanted_and_what_is(engine: Docker) -> None:
    script = homes({"default": 8642, "coder": 8643}) + home_script("idle", 8644, intent="stopped")
    box = engine.boot(**mounted(engine.volume(script)))
    box.ready("coder")
    box.ready("default")
    report = box.json("status")
    assert (report["version"], report["healthy"], report["problems"]) == (1, True, [])
    assert (report["supervisor"], report["home"]) == ("s6", "/opt/data")
    assert report["flavour"] in ("debian", "overlay")
    keys = {
        "service", "kind", "profile", "wanted", "actual", "ready", "pid", "uptime_seconds",
        "restarts", "last_exit", "parked_reason", "port", "url", "message",
    }  # fmt: skip
    assert all(keys <= set(one) for one in report["services"])
    rows = {one["service"]: one for one in report["services"]}
    coder = rows["gateway-coder"]
    assert (coder["wanted"], coder["actual"], coder["ready"], coder["port"]) == ("up", "ready", True, 8643)
    assert coder["pid"] == slot(box, "coder").pid
    assert 0 <= coder["uptime_seconds"] < 60
    idle = rows["gateway-idle"]
    assert (idle["wanted"], idle["actual"], idle["pid"], idle["port"]) == ("down", "down", None, 8644)
    assert rows["slot-registrar"]["ready"]
    for command in (("status",), ("gateway", "list"), ("profile", "list")):
        assert "coder" in box.hermes(*command).ok()
    assert box.hermes("-p", "idle", "gateway", "status").code == 0, "it is as it is wanted"


def test_docker_sees_a_parked_gateway_as_unhealthy_and_a_mended_one_as_healthy(engine: Docker) -> None:
    second = 1_000_000_000
    check = {"interval": second, "timeout": 10 * second, "retries": 1, "start_period": 0}
    box = engine.boot(healthcheck=check, **mounted(engine.volume(homes({"coder": 8643}))))

    def health() -> str:
        box.raw.reload()
        return str(box.raw.attrs["State"]["Health"]["Status"])

    box.ready("coder")
    wait_for(lambda: health() == "healthy", 20, "healthy container")
    box.sh("printf 'gateway:\\n  port: no\\n' >/opt/data/profiles/coder/config.yaml", user=10000)
    box.hermes("-p", "coder", "gateway", "restart")
    wait_for(lambda: health() == "unhealthy", 20, "unhealthy container")
    box.sh("printf 'gateway:\\n  port: 8643\\n' >/opt/data/profiles/coder/config.yaml", user=10000)
    box.hermes("-p", "coder", "gateway", "start").ok()
    wait_for(lambda: health() == "healthy", 20, "healthy container again")


def test_the_doctor_finds_nothing_where_nothing_is_wrong(engine: Docker) -> None:
    box = engine.boot(**mounted(engine.volume()))
    box.hermes("profile", "create", "coder", "--start").ok()
    report = json.loads(box.hermes("doctor", "--json").ok())
    assert [one for one in report["findings"] if one["status"] != "ok"] == []


def test_the_doctor_mends_a_lost_slot_and_an_open_env_file(engine: Docker) -> None:
    box = engine.boot(**mounted(engine.volume(home_script("coder", 8643, intent="stopped"))))
    box.sh("s6-sudo /run/hermes-registrar/s unregister coder", user=10000).ok()
    box.sh("chmod 644 /opt/data/profiles/coder/.env")
    assert box.gateway("coder") is None
    box.hermes("doctor", "--fix")
    assert not slot(box, "coder").up
    assert box.sh("stat -c %a /opt/data/profiles/coder/.env").ok() == "600\n"


def test_verbs_at_the_same_time_end_in_one_gateway(engine: Docker) -> None:
    from concurrent.futures import ThreadPoolExecutor

    box = engine.boot(**mounted(engine.volume(homes({"coder": 8643}))))
    box.ready("coder")
    verbs = ["restart", "start", "restart", "start", "restart", "start"]
    with ThreadPoolExecutor(6) as pool:
        for done in pool.map(lambda verb: box.hermes("-p", "coder", "gateway", verb), verbs):
            done.ok()
    state = slot(box, "coder")
    assert state.ready
    assert box.gateways("coder") == [state.pid]


def test_the_dashboard_is_off_until_it_is_asked_for(engine: Docker) -> None:
    box = engine.boot(**mounted(engine.volume()))
    state = wait_for(lambda: box.slot("dashboard"), 10, "dashboard's slot")
    wait_for(lambda: not box.slot("dashboard").up, 10, "dashboard that is down")  # type: ignore[union-attr]
    assert state
    (report,) = (one for one in box.json("status")["services"] if one["service"] == "dashboard")
    assert report["wanted"] == "down"
    assert "HERMES_DASHBOARD" in report["message"]


@pytest.mark.parametrize("word", ["1", "true", "YES", "on"])
def test_the_dashboard_serves_where_it_is_asked_for(engine: Docker, word: str) -> None:
    box = engine.boot(environment={"HERMES_DASHBOARD": word}, **mounted(engine.volume()))
    wait_for(lambda: (state := box.slot("dashboard")) and state.ready, 20, "ready dashboard")
    assert answers(box, 9119, "/") in (200, 302, 303, 401)


def test_the_dashboard_listens_beyond_loopback_only_with_a_password(engine: Docker) -> None:
    script = homes({"default": 8642}, intent=None) + "printf 'dashboard:\\n  host: 0.0.0.0\\n' >>config.yaml"
    volume = engine.volume(script)
    box = engine.boot(environment={"HERMES_DASHBOARD": "1"}, **mounted(volume))
    refused = box.said("HERMES_DASHBOARD_PASSWORD")
    assert "Traceback" not in refused
    wait_for(lambda: (state := box.slot("dashboard")) and state.parked, 10, "parked dashboard")
    assert answers(box, 9119, "/") == 0
    box.stop()
    box = engine.boot(
        environment={"HERMES_DASHBOARD": "1", "HERMES_DASHBOARD_PASSWORD": "open sesame"}, **mounted(volume)
    )
    wait_for(lambda: (state := box.slot("dashboard")) and state.ready, 20, "ready dashboard")
    assert answers(box, 9119, "/") in (302, 303, 401, 403, 200)


@pytest.mark.parametrize(
    "name", ["", "UPPER", "-option", "a/b", "../up", "a b", "default", "x" * 244, "é", "a\nb"]
)
def test_a_bad_name_is_refused_in_one_sentence(engine: Docker, name: str) -> None:
    done = engine.cli(command=("hermes", "profile", "create", "--", name))
    assert done.code in (1, 2)
    assert "Traceback" not in done.err
    assert done.out == ""
    assert done.err.strip()
