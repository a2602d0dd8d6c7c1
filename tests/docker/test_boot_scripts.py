"""The boot scripts as s6-overlay calls them: no arguments, from /, with an environment kept, s6-svscan up."""

from __future__ import annotations

from tests.docker.containers import Docker

# What s6-overlay has done by the time of cont-init.d, and the oneshots' `down` lines at the end.
STAND_IN = r"""
    rm -rf /run/s6 /run/service && mkdir -p /run/s6/basedir/bin /run/service && cd / || exit 90
    s6-svscan -d 4 /run/service 4>/tmp/ready &
    until [ -s /tmp/ready ]; do sleep 0.02; done
    for round in first second; do
      for script in /etc/cont-init.d/*; do
        env -i S6_KEEP_ENV=1 PATH="$PATH" HERMES_HOME=/opt/data "$script" </dev/null || exit 91
      done
      echo "$round: $(ls /run/service | tr '\n' ' ')" $(cat /run/hermes/ids /run/hermes/dashboard)
    done
    hermes profile list --json | tr -d ' \n' | grep -o '"name":"[a-z]*"'
    for service in gateways command; do
      env -i PATH="$PATH" execlineb -P -c "$(cat /etc/s6-overlay/s6-rc.d/$service/down)" </dev/null || exit 92
    done
    s6-svstat -o up,pid /run/service/gateway-default
    s6-svscanctl -t /run/service && wait
"""


def test_the_boot_scripts_make_the_same_slots_the_first_and_the_second_time(engine: Docker) -> None:
    done = engine.cli("--entrypoint", "sh", command=("-c", STAND_IN))
    assert done.code == 0, done
    lines = done.out.splitlines()
    slots = "gateway-default volume-lease  10000 10000 off: HERMES_DASHBOARD is not set to 1"
    assert [" ".join(line.split()) for line in lines[:2]] == [
        f"{time}: {' '.join(slots.split())}" for time in ("first", "second")
    ], done
    assert lines[2:] == ['"name":"default"', "false -1"], done
    assert "warning" not in done.err, done
