"""What uid hermes can do to become root through supervision: nothing. Root's files stay as they were."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.docker.containers import HERMES_UID, Box, Docker, Done, home_script, homes, mounted, wait_for

REGISTRAR = "/run/hermes-registrar/s"


def as_hermes(box: Box, script: str, *words: str) -> Done:
    return box.sh(script, *words, user=HERMES_UID)


def fingerprint(box: Box) -> str:
    """Everything of root's that does not change by itself: names, owners, modes, sizes, contents."""
    script = r"""
        find /etc /opt/hermes/docker /opt/hermes/share /usr/local /usr/bin /root /var -xdev \
          -printf '%p %U:%G %m %l\n' | sort
        # Not hosts: docker writes it anew at every start, with the address it finds free.
        find /etc /opt/hermes/docker /usr/local /root -xdev -type f -not -path /etc/hosts \
          -exec md5sum {} + | sort
        cd /run/service && find . -name supervise -prune -o -name event -prune -o \
          -name '.*.lock' -prune -o -path ./.gone -prune -o \
          -printf '%p %U:%G %m %l\n' | sort
    """
    return box.sh(script).ok()


def unchanged(box: Box, before: str) -> None:
    """Fail with the lines that differ."""
    after = fingerprint(box)
    differing = sorted(set(before.splitlines()) ^ set(after.splitlines()))
    assert differing == []


def strays(box: Box, *profiles: str) -> list[str]:
    """What is left of these profiles' slots in the scandir, under whatever name, and of their aliases."""
    names = " -o ".join(f"-name 'gateway-{profile}' -o -name '{profile}'" for profile in profiles)
    return box.sh(f"find /run/service /run/hermes/bin -maxdepth 3 {names}").ok().split()


def root_programs(box: Box) -> list[str]:
    """What runs as root, apart from what `docker exec` brings."""
    script = r"""
        for process in /proc/[0-9]*; do
          [ "$(stat -c %u "$process" 2>/dev/null)" = 0 ] || continue
          line=$(tr '\0\n' '  ' 2>/dev/null <"$process/cmdline") || continue
          case $line in '' | sh\ -c* | stat\ * | tr\ *) ;; *) printf '%s\n' "$line" ;; esac
        done | sort
    """
    return box.sh(script).ok().splitlines()


@pytest.fixture
def box(engine: Docker) -> Iterator[Box]:
    """A container with a running gateway, which must be as it was when the attack is over."""
    box = engine.boot(**mounted(engine.volume(homes({"coder": 8643}))))
    box.ready("coder")
    before, programs = fingerprint(box), root_programs(box)
    yield box
    unchanged(box, before)
    wait_for(lambda: root_programs(box) == programs, 10, f"only root's own programs: {programs}")
    slot = box.gateway("coder")
    assert slot is not None
    assert slot.ready


SCANDIR = [
    "mkdir /run/service/evil",
    "mkdir /run/service/.evil",
    "ln -s /opt/data /run/service/evil",
    "mv /run/service/gateway-coder /run/service/evil",
    "rm -rf /run/service/gateway-coder/run",
    "rmdir /run/service/gateway-coder",
    "s6-svscanctl -a /run/service",
    "s6-svscanctl -t /run/service",
    "echo x >/run/service/.s6-svscan/control",
    "echo x >/run/service/.s6-svscan/finish",
    "ln -s /opt/data/evil /run/service/.s6-svscan/SIGALRM",
    "echo '#!/bin/sh' >/run/service/gateway-coder/run",
    "echo '#!/bin/sh' >/run/service/gateway-coder/finish",
    "echo '#!/bin/sh' >/run/service/gateway-coder/log/run",
    "touch /run/service/gateway-coder/notification-fd",
    "mkdir /run/service/gateway-coder/data",
    "rm /run/service/gateway-coder/type",
    "rm /run/s6/basedir/bin/halt",
    "echo 3 >/run/s6-linux-init-container-results/exitcode",
    "echo uid=0 >/run/hermes/ids",
    "mv /run/hermes/ids /run/hermes/ids.old",
    "ln -sf /opt/data/evil /run/hermes/bin/ls",
    "mv /run/hermes /run/old",
    "mkdir /run/hermes-registrar/rules/uid/0",
    "rm /run/hermes-registrar/s",
    "echo >/etc/cont-init.d/99-evil",
    "echo >/opt/hermes/docker/slot/run",
    "kill -TERM 1",
    "kill -KILL $(cat /proc/[0-9]*/stat | grep '(s6-supervise)' | head -n 1 | cut -d ' ' -f 1)",
    "cat /etc/shadow",
    "cat /proc/1/environ",
    "cat /proc/1/root/etc/shadow",
]


@pytest.mark.parametrize("places", [SCANDIR[n::4] for n in range(4)], ids=["1", "2", "3", "4"])
def test_the_scandir_its_slots_and_what_the_boot_uses_cannot_be_changed(box: Box, places: list[str]) -> None:
    for script in places:
        done = as_hermes(box, script)
        assert done.code != 0, f"{script}: {done}"


def test_no_link_can_be_planted_where_a_supervisor_writes(box: Box) -> None:
    """s6-supervise follows links in supervise/ and event/ as root: whoever may create there is root."""
    names = [
        "supervise/status", "supervise/status.new", "supervise/death_tally", "supervise/death_tally.new",
        "supervise/x",
        "event/x", "event/ftrig1:@4000000065000000000000:AAAAAAA", "x",
    ]  # fmt: skip
    script = r"""
        cd /run/service
        for slot in gateway-coder gateway-coder/log gateway-default slot-registrar volume-lease; do
          for name; do
            place=$slot/$name
            for attack in 'ln -sf /etc/passwd' 'ln -sfn /etc/passwd' mkfifo mkdir 'cp /bin/true'; do
              $attack "$place" 2>/dev/null && echo "$attack $place"
            done
          done
        done; :
    """
    assert as_hermes(box, script, *names).ok() == ""
    for slot in ("gateway-coder", "gateway-coder/log"):
        done = as_hermes(box, f"timeout 2 s6-ftrig-wait /run/service/{slot}/event u")
        assert done.code not in (0, 124), "it may subscribe"


def test_orders_by_the_control_fifo_stay_orders(box: Box) -> None:
    """It may write any byte there: each is an order to its own gateway's supervisor."""
    as_hermes(box, "head -c 4096 /dev/urandom >/run/service/gateway-coder/supervise/control")
    for order in ("x", "X", "a", "k", "t", "o", "O", "Q"):
        as_hermes(box, f"printf {order} >/run/service/gateway-coder/supervise/control")

    box.hermes("-p", "coder", "gateway", "start").ok()


HOSTILE = [
    (),
    ("register",),
    ("register", ""),
    ("register", "../evil"),
    ("register", "a/b"),
    ("register", "/etc"),
    ("register", "."),
    ("register", ".."),
    ("register", "-rf"),
    ("register", "--help"),
    ("register", "evil\nregister other"),
    ("register", "evil;touch /etc/owned"),
    ("register", "$(touch /etc/owned)"),
    ("register", "`touch /etc/owned`"),
    ("register", "evil *"),
    ("register", "Evil"),
    ("register", "évil"),
    ("register", "_evil"),
    ("register", "e" * 244),
    ("register", "e" * 5000),
    ("register", "evil", "up"),
    ("register", "evil", ""),
    ("register", "evil", "down", "more"),
    ("register", "evil", "down\n"),
    ("unregister",),
    ("unregister", "coder", "down"),
    ("unregister", "../coder"),
    ("unregister", "default"),
    ("rename", "coder", "evil"),
    ("-c", "id"),
    ("sh", "-c", "touch /etc/owned"),
]


def test_the_registrar_refuses_every_word_outside_its_vocabulary(box: Box) -> None:
    before = box.sh("ls -A /run/service /run/hermes/bin").out
    for words in HOSTILE:
        done = box.run("s6-sudo", REGISTRAR, *words, user=HERMES_UID)
        assert done.code == 2, (words, done)
    assert as_hermes(box, f"s6-sudo {REGISTRAR} register \"$(printf 'ev\\377il')\"").code == 2
    assert box.sh("ls -A /run/service /run/hermes/bin").out == before


def test_the_registrar_takes_no_environment_from_its_caller(box: Box) -> None:
    as_hermes(
        box,
        "mkdir -p /opt/data/fake /opt/data/evil && cp -R /opt/hermes/docker/slot/. /opt/data/evil/ &&"
        " printf '#!/bin/sh\\nid -u >/opt/data/owned\\n' >/opt/data/evil/run",
    ).ok()
    spoofed = {
        "HERMES_SCANDIR": "/opt/data/fake",
        "HERMES_SLOT_TEMPLATE": "/opt/data/evil",
        "HERMES_ALIAS_DIR": "/usr/local/bin",
        "HERMES_HOME": "/etc",
        "PATH": "/opt/data/evil:/usr/bin:/bin",
        "LD_PRELOAD": "/opt/data/evil.so",
        "ENV": "/opt/data/evil/run",
    }
    box.run("s6-sudo", REGISTRAR, "register", "spoof", "down", user=HERMES_UID, env=spoofed).ok()
    assert box.sh("ls -A /opt/data/fake").out == ""
    compared = box.sh(
        "cd /opt/hermes/docker/slot && find . -type f -exec cmp {} /run/service/gateway-spoof/{} \\;"
    )
    assert compared.out + compared.err == ""
    assert box.sh("find /run/service/gateway-spoof -not -user root").out == ""
    assert box.sh("cat /opt/data/owned").code != 0
    as_hermes(box, f"s6-sudo {REGISTRAR} unregister spoof").ok()


def test_the_registrar_answers_callers_without_standard_streams(box: Box) -> None:
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        as_hermes(
            box,
            f"s6-sudo {REGISTRAR} register evil down {closed}; s6-sudo {REGISTRAR} unregister evil {closed}",
        )
    as_hermes(box, f"s6-sudo {REGISTRAR} register after down").ok()
    as_hermes(box, f"s6-sudo {REGISTRAR} unregister after").ok()
    assert box.gateway("evil") is None


@pytest.mark.parametrize("uid", [12345, 65534, 1])
def test_the_registrar_serves_no_other_user(box: Box, uid: int) -> None:
    done = box.run("s6-sudo", REGISTRAR, "register", "evil", "down", user=uid)
    assert done.code != 0
    assert box.gateway("evil") is None
    assert box.run("s6-svc", "-d", "/run/service/gateway-coder", user=uid).code != 0


@pytest.mark.timeout(120)
def test_many_callers_at_once_leave_no_half_made_slot(box: Box) -> None:
    before = box.supervisors()
    script = """
        n=0
        while [ "$n" -lt 4 ]; do
          s6-sudo "$0" register "spam$1" down; s6-sudo "$0" unregister "spam$1"
          s6-sudo "$0" register same down
          s6-sudo "$0" unregister same; n=$((n + 1))
        done
        s6-sudo "$0" unregister same
    """
    with ThreadPoolExecutor(10) as pool:
        calls = [
            pool.submit(box.run, "sh", "-c", script, REGISTRAR, str(n), user=HERMES_UID) for n in range(10)
        ]
        for call in calls:
            call.result().ok()
    assert strays(box, "spam*", "same") == []
    wait_for(lambda: box.supervisors() == before, 10, "no stray supervisor")


def test_a_caller_that_is_killed_leaves_no_half_made_slot(box: Box) -> None:
    for n in range(10):
        as_hermes(box, f"s6-sudo {REGISTRAR} register cut{n} down & sleep 0.0{n}; kill -KILL $!")
    wait_for(
        lambda: box.sh("flock -n /run/service/.hermes.lock true").code == 0, 20, "end of the registrations"
    )
    for n in range(10):
        as_hermes(box, f"s6-sudo {REGISTRAR} unregister cut{n}").ok()
    assert strays(box, "cut*") == []


def test_the_environment_of_a_slot_is_read_after_privileges_are_dropped(box: Box) -> None:
    """A preloaded library and a PATH of its own reach the gateway, and nothing that is root."""
    script = r"""
        set -e
        mkdir -p /opt/data/bin /run/hermes/env/gateway-coder
        log='echo "$(/usr/bin/id -u) $0" >>/opt/data/who'
        cp "$(ls /usr/lib/*/libm.so.6 | head -n 1)" /opt/data/evil.so
        for name in env hermes python python3 sh s6-log s6-applyuidgid s6-permafailon id date mv; do
          printf '#!/bin/sh\n%s\nexec /usr/bin/%s "$@"\n' "$log" "$name" >/opt/data/bin/$name
          chmod 755 /opt/data/bin/$name
        done
        cd /run/hermes/env/gateway-coder
        echo /opt/data/evil.so >LD_PRELOAD
        echo /opt/data/bin:/usr/local/bin:/usr/bin:/bin >PATH
        echo /opt/data >PYTHONPATH
        echo 0 >HERMES_UID
    """
    as_hermes(box, script).ok()
    box.hermes("-p", "coder", "gateway", "restart").ok()
    box.signal(box.ready("coder").pid)
    box.ready("coder")
    # Only its own user may read a process's maps: docker's root has no CAP_SYS_PTRACE.
    loaded = "grep -l /opt/data/evil.so /proc/[0-9]*/maps 2>/dev/null"
    assert as_hermes(box, loaded).out, "the gateway has it"
    assert box.sh(loaded, user=0).out == ""
    who = box.sh("cut -d ' ' -f 1 /opt/data/who 2>/dev/null | sort -u").out.split()
    assert set(who) <= {str(HERMES_UID)}
    as_hermes(box, "rm -rf /run/hermes/env/gateway-coder")
    box.hermes("-p", "coder", "gateway", "restart").ok()


def test_a_gateway_has_no_privilege_left_to_lose(box: Box) -> None:
    pid = box.ready("coder").pid
    fields = dict(
        line.split(":\t", 1) for line in box.read(f"/proc/{pid}/status").splitlines() if ":\t" in line
    )
    assert set(fields["Uid"].split()) == {str(HERMES_UID)}
    assert set(fields["Gid"].split()) == {str(HERMES_UID)}
    assert fields["Groups"].split() in ([], [str(HERMES_UID)])
    assert int(fields["CapPrm"], 16) == int(fields["CapEff"], 16) == 0
    logger = box.slot("gateway-coder/log")
    assert logger is not None
    assert box.sh(f"stat -c %u /proc/{logger.pid}").ok().strip() == str(HERMES_UID)


def test_a_name_of_root_that_is_run_from_the_home_finds_nothing_of_the_home(box: Box) -> None:
    """`docker exec`, the HEALTHCHECK and the boot start as root in a directory that belongs to hermes."""
    script = r"""
        for name in click msgspec hermes_cli sitecustomize usercustomize os encodings; do
          printf 'import os\nopen("/opt/data/who", "a").write("%%s\\n" %% os.getuid())\n' >/opt/data/$name.py
        done
        for name in id s6-applyuidgid stat hermes sh; do
          printf '#!/bin/sh\n/usr/bin/id -u >>/opt/data/who\n' >/opt/data/$name; chmod 755 /opt/data/$name
        done
    """
    as_hermes(box, script).ok()
    box.hermes("status", "--healthy", user=0)
    box.run("hermes", "profile", "list", user=0).ok()
    box.raw.restart(timeout=10)
    box.booted().ready("coder")
    assert "0" not in box.sh("cat /opt/data/who").out.split()


@pytest.mark.parametrize("walk", ["", "1"], ids=["one look", "the whole walk"])
def test_links_planted_for_the_next_boot_lead_root_nowhere(engine: Docker, walk: str) -> None:
    script = homes({"coder": 8643}) + home_script("victim", 8644, intent="stopped")
    box = engine.boot(environment={"HERMES_FIX_OWNERSHIP": walk}, **mounted(engine.volume(script)))
    box.ready("coder")
    before = fingerprint(box)
    plant = r"""
        cd /opt/data
        hermes -p coder gateway stop >/dev/null
        for name in config.yaml .env SOUL.md gateway_intent.json gateway_state.json parked.json; do
          rm -rf "$name" "profiles/victim/$name"
          ln -s /etc/shadow "$name"; ln -s /etc/passwd "profiles/victim/$name"
        done
        rm -rf run && ln -s /etc run
        rm -f logs/supervision.jsonl && ln -s /etc/passwd logs/supervision.jsonl
        rm -f logs/container-boot.log && ln -s /etc/hostname logs/container-boot.log
        rm -rf logs/gateways/coder && ln -s /etc logs/gateways/coder
        ln -s /etc profiles/etc && ln -s /root profiles/root && ln -s /etc/passwd profiles/file
        ln -s /etc processes; ln -s /etc/passwd state.db; ln -s /root sessions
        printf '%s' '{"version":1,"intent":"running","requested_at":1.0}' >profiles/coder/gateway_intent.json
    """
    as_hermes(box, plant)
    box.raw.restart(timeout=10)
    box.booted()
    wait_for(lambda: box.gateway("coder"), 20, "slot of coder")
    unchanged(box, before)
    assert box.sh("ls /etc/volume.lock /etc/gateway.lock /etc/current /etc/lock 2>/dev/null").out == ""
    box.stop()


def test_pipes_planted_for_the_next_boot_do_not_hold_it_up(engine: Docker) -> None:
    """A FIFO where a file is expected blocks whoever opens it."""
    box = engine.boot(**mounted(engine.volume(homes({"coder": 8643, "other": 8644}))))
    box.ready("coder")
    box.ready("other")
    plant = r"""
        cd /opt/data
        for name in config.yaml .env gateway_intent.json gateway_state.json run/volume.lock \
          logs/supervision.jsonl logs/container-boot.log profiles/other/config.yaml profiles/other/.env \
          profiles/other/gateway_state.json profiles/other/run/gateway.lock; do
          rm -f "$name"; mkfifo "$name"
        done
    """
    as_hermes(box, plant).ok()
    box.raw.restart(timeout=10)
    box.booted(30)
    box.ready("coder", 40)
    assert box.stop(30) < 20


def test_a_log_directory_that_is_a_link_is_followed_only_as_hermes(box: Box) -> None:
    box.hermes("profile", "create", "linked").ok()
    as_hermes(
        box,
        "cd /opt/data/logs; mkdir -p gateways; cd gateways; rm -rf linked; ln -s /etc linked",
    )
    box.hermes("-p", "linked", "gateway", "start")
    box.hermes("-p", "linked", "gateway", "stop")
    box.hermes("profile", "delete", "--yes", "linked").ok()
    assert box.sh("test -e /etc/current || test -e /etc/lock || test -e /etc/state").code != 0


def test_a_supervision_log_that_is_a_link_is_followed_only_as_hermes(box: Box) -> None:
    size = box.sh("stat -c %s /etc/passwd").out
    as_hermes(box, "cd /opt/data/logs && rm -f supervision.jsonl && ln -s /etc/passwd supervision.jsonl").ok()
    box.signal(box.ready("coder").pid)
    box.ready("coder", not_pid=0)
    as_hermes(box, f"s6-sudo {REGISTRAR} register logged down; s6-sudo {REGISTRAR} unregister logged")
    assert box.sh("stat -c %s /etc/passwd").out == size
