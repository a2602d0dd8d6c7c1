"""What settings can make of root's scripts, and what becomes of a service that lost its supervisor."""

from __future__ import annotations

import pytest

from tests.docker.containers import HERMES_UID, Docker, homes, wait_for

REGISTRAR = "/run/hermes-registrar/s"


def test_the_registrar_takes_no_value_for_a_variable_that_the_container_has_empty(engine: Docker) -> None:
    """s6-sudod fills a variable that is there and empty with its caller's value."""
    empty = dict.fromkeys(
        ("LD_PRELOAD", "HERMES_ALIAS_DIR", "HERMES_SCANDIR", "HERMES_SLOT_TEMPLATE", "ENV"), ""
    )
    box = engine.boot(environment=empty)
    plant = r"""
        mkdir -p /opt/data/evil/gateway-spoof && cd /opt/data/evil
        cp "$(ls /usr/lib/*/libm.so.6 | head -n 1)" evil.so
        ln -s /etc/owned spoof
    """
    box.sh(plant, user=HERMES_UID).ok()
    order = ("s6-sudo", REGISTRAR, "register", "spoof", "down")
    values = {"LD_PRELOAD": "/opt/data/evil/missing.so", "HERMES_ALIAS_DIR": "/opt/data/evil"}
    done = box.run(*order, user=HERMES_UID, env=values)
    assert done.err.count("missing.so") == 3, f"s6-sudo itself is three programs, none of them root's: {done}"
    assert box.sh("ls /etc/owned").code != 0, "root wrote through a link of the caller's"
    assert box.sh("find /run/service/gateway-spoof -not -user root").out == ""
    done = box.run(
        "s6-sudo", REGISTRAR, "unregister", "spoof", user=HERMES_UID, env={"HERMES_SCANDIR": "/opt/data/evil"}
    )
    assert done.code == 0
    assert box.gateway("spoof") is None
    assert box.sh("test -d /opt/data/evil/gateway-spoof").code == 0


def test_the_service_user_cannot_take_the_lock_that_registrations_wait_for(engine: Docker) -> None:
    box = engine.boot()
    assert box.sh("flock -n /run/service/.hermes.lock true", user=HERMES_UID).code != 0
    box.sh("s6-sudo " + REGISTRAR + " register after down", user=HERMES_UID).ok()
    assert box.sh("flock -n /run/service/.hermes.lock true", user=HERMES_UID).code != 0


def test_root_leaves_no_directory_of_its_own_to_the_service_user(engine: Docker) -> None:
    """The image has them in the service user's name, for --user 10000."""
    box = engine.boot()
    owned = "find /run -maxdepth 2 -user hermes -not -path '/run/hermes/*'"
    assert box.sh(owned).ok() == ""
    box.raw.restart(timeout=10)
    assert box.booted().sh(owned).ok() == ""


@pytest.mark.parametrize("name", ["config.yaml", ".env", "profiles/coder/reference"])
def test_what_is_mounted_read_only_below_the_home_keeps_its_owner(engine: Docker, name: str) -> None:
    content = engine.volume(
        "printf 'gateway:\\n  port: 8650\\n' >config.yaml; printf 'A=b\\n' >.env; mkdir -p a/b"
    )
    source = engine.client.api.inspect_volume(content)["Mountpoint"]
    mount = f"{source}/{name}" if "/" not in name else f"{source}/a"
    home = engine.volume(homes({"coder": 8643}, None))
    binds = {home: {"bind": "/opt/data", "mode": "rw"}, mount: {"bind": f"/opt/data/{name}", "mode": "ro"}}
    box = engine.boot(volumes=binds, environment={"HERMES_FIX_OWNERSHIP": "1"})
    box.hermes("gateway", "start").ok()
    box.ready("default")
    log = box.logs()
    assert log.count("is mounted read-only and keeps its owner") == 1, log


@pytest.mark.parametrize("user", ["0", "10000"], ids=["root", "one user"])
def test_a_static_service_that_has_lost_its_supervisor_is_replaced(engine: Docker, user: str) -> None:
    """Its port, its lock and its output are one process's again, and that one is supervised."""
    box = engine.boot(environment={"HERMES_DASHBOARD": "1"}, user=user)
    services = ["dashboard", "main-hermes", "volume-lease"] + (["slot-registrar"] if user == "0" else [])

    def ready(service: str, not_pid: int = 0) -> int:
        def look() -> int:
            slot = box.slot(service)
            return slot.pid if slot and slot.ready and slot.pid != not_pid else 0

        return wait_for(look, 20, f"ready {service}")

    def programs() -> list[str]:
        return sorted(line for _, line in box.processes())

    before = {service: ready(service) for service in services}
    expected = programs()
    # One after the other: s6-svscan 2.13 forgets a young one where several die within a second.
    for service in services:
        supervisor = next(pid for pid, line in box.processes() if line == f"s6-supervise {service}")
        box.signal(supervisor)
        ready(service, before[service])
    wait_for(lambda: programs() == expected, 10, f"the programs {expected}")
    box.hermes("profile", "create", "coder").ok()
