"""What a setting can make of root's scripts: empty variables, directories made for another user, mounts."""

from __future__ import annotations

import pytest

from tests.docker.containers import HERMES_UID, Docker, homes

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
