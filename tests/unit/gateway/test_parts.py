"""The small parts of a gateway: token, metrics, events, identity, memory, slip."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_cli.gateway import park
from hermes_cli.gateway.auth import refusal
from hermes_cli.gateway.events import EventJournal
from hermes_cli.gateway.identity import ProcessIdentity, boot_id, command_of, start_ticks
from hermes_cli.gateway.listeners import AddressError, open_tcp
from hermes_cli.gateway.lock import AlreadyRunningError, HomeLock, holder_of
from hermes_cli.gateway.memory import untouched_text
from hermes_cli.gateway.port_holder import describe_holder, pid_listening_on
from hermes_cli.home import Home
from hermes_cli.serving.exposition import counter, gauge, render
from hermes_cli.serving.notify import Supervisor


@pytest.mark.parametrize("host", ["no.such.invalid", "two..dots"])
def test_a_host_that_does_not_exist_is_said_in_words(host: str, tmp_path: Path) -> None:
    with pytest.raises(AddressError, match=rf"gateway\.host '{host}' is no address[^\[\]]*$"):
        open_tcp(Home.of(root=tmp_path), host, 8642)


@given(st.binary(max_size=60))
def test_no_header_but_the_token_opens(value: bytes) -> None:
    refused = refusal("s3cret", [(b"authorization", value)])
    scheme, _, credentials = value.partition(b" ")
    assert (refused is None) == (scheme.lower() == b"bearer" and credentials.strip() == b"s3cret")


def test_a_token_beyond_ascii_works() -> None:
    assert refusal("schlüssel", [(b"authorization", "Bearer schlüssel".encode())]) is None


@pytest.mark.parametrize("token", [None, ""])
def test_no_token_opens_for_nobody(token: str | None) -> None:
    for value in (b"Bearer ", b"Bearer", b"Bearer None"):
        refused = refusal(token, [(b"authorization", value)])
        assert refused is not None
        assert refused[0] == "token_not_configured"


def test_metrics_are_escaped() -> None:
    text = render([gauge("a", "A.", 1.5, profile='x"\n\\'), counter("b_total", "B.", {(): 2})])
    assert text.splitlines() == [
        "# HELP a A.",
        "# TYPE a gauge",
        'a{profile="x\\"\\n\\\\"} 1.5',
        "# HELP b_total B.",
        "# TYPE b_total counter",
        "b_total 2",
    ]


def test_a_slow_reader_of_events_misses_none_that_are_kept_and_is_told_of_the_rest() -> None:
    async def scenario() -> list[bytes]:
        journal = EventJournal(size=3)
        for _ in range(10):
            journal.append("ready")
        journal.drain("now")
        return [frame async for frame in journal.stream(2)]

    frames = asyncio.run(scenario())
    assert frames[0].startswith(b"event: reset\n")
    assert [frame.split(b"\n")[0] for frame in frames[1:-1]] == [b"id: 9", b"id: 10", b"id: 11"]
    assert frames[-1].startswith(b"event: closed\n")


def test_a_quiet_stream_is_kept_alive() -> None:
    async def scenario() -> bytes:
        stream = EventJournal().stream(0, heartbeat=0.01)
        try:
            return await anext(stream)
        finally:
            await stream.aclose()  # type: ignore[attr-defined]

    assert asyncio.run(scenario()) == b": alive\n\n"


def test_a_recycled_pid_is_not_the_process_that_had_it() -> None:
    me = ProcessIdentity.own()
    assert me.is_alive()
    assert not ProcessIdentity(me.pid, me.start + 1, me.boot_id).is_alive()
    assert not ProcessIdentity(me.pid, me.start, "another boot").is_alive()
    assert not ProcessIdentity(0, 0, boot_id()).is_alive()


def test_a_recycled_pid_is_never_signalled() -> None:
    with subprocess.Popen(["sleep", "60"]) as bystander:
        ticks = start_ticks(bystander.pid)
        assert ticks is not None
        assert ProcessIdentity(bystander.pid, ticks - 1, boot_id()).end(grace=0.1)
        assert bystander.poll() is None
        bystander.kill()


def test_ending_a_process_reports_what_was_seen() -> None:
    deaf = (
        "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        identity = ProcessIdentity(process.pid, start_ticks(process.pid) or 0, boot_id())
        began = time.monotonic()
        assert identity.end(grace=0.2)
        assert 0.2 <= time.monotonic() - began < 3.0
        assert process.wait(5) == -signal.SIGKILL
    assert identity.end(grace=0.1), "one that is gone is gone"


def test_a_command_is_shown_short_and_harmless() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            assert command_of(process.pid) in ("sleep 60", "")
        finally:
            process.kill()
    assert command_of(2**22 + 1) == ""


def test_the_lock_excludes_and_names_its_holder(tmp_path: Path) -> None:
    home = Home.of(root=tmp_path)
    assert holder_of(home) is None
    lock, other = HomeLock(home), HomeLock(home)
    lock.acquire()
    holder = holder_of(home)
    assert holder == ProcessIdentity.own()
    with pytest.raises(AlreadyRunningError, match=f"pid {os.getpid()}"):
        other.acquire()
    lock.release()
    other.acquire()
    other.release()


@pytest.mark.parametrize("text", ["", "abc", "1\n2\n", "1\n1\nother-boot\n", "-5\n1\nx\n"])
def test_rubbish_in_the_lock_file_names_nobody(tmp_path: Path, text: str) -> None:
    home = Home.of(root=tmp_path)
    home.run_dir.mkdir()
    home.lock.write_text(text)
    assert holder_of(home) is None


def test_only_text_as_on_disk_is_given_back() -> None:
    smaps = """\
55d0-55e0 r-xp 00001000 08:01 17 /usr/bin/python3
Rss:                  4 kB
Anonymous:            0 kB
7f00-7f10 r-xp 00001000 08:01 18 /lib/patched.so
Anonymous:            4 kB
7f20-7f30 rw-p 00001000 08:01 18 /lib/patched.so
Anonymous:            0 kB
7f40-7f50 r-xp 00000000 00:00 0 [vdso]
Anonymous:            0 kB
7f60-7f80 r-xp 00001000 08:01 19 /lib/clean library.so (deleted)
Anonymous:            0 kB
""".splitlines()
    assert list(untouched_text(smaps)) == [(0x55D0, 0x10), (0x7F60, 0x20)]


def test_a_slip_that_cannot_be_read_still_parks(tmp_path: Path) -> None:
    home = Home.of(root=tmp_path)
    assert park.parked(home) is None
    park.park(home, "config", "port: expected a number")
    slip = park.parked(home)
    assert slip is not None
    assert (slip.kind, slip.reason, slip.exit_code) == ("config", "port: expected a number", 78)
    home.parked.write_text("{")
    slip = park.parked(home)
    assert slip is not None
    assert "parked.json" in slip.reason
    park.clear(home)
    park.clear(home)
    assert park.parked(home) is None


@pytest.mark.parametrize("value", ["", "x", "-1", "0", "1", "2", "99999", "٣"])
def test_a_notification_fd_that_is_none_is_ignored(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HERMES_NOTIFY_FD", value)
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/at/all")
    supervisor = Supervisor()
    supervisor.ready()
    supervisor.stopping()
    assert "HERMES_NOTIFY_FD" not in os.environ
    assert "NOTIFY_SOCKET" not in os.environ


def test_a_port_of_this_very_process_is_found(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert pid_listening_on(port) == os.getpid()
        assert describe_holder(Home.of(root=tmp_path), port).startswith(f"pid {os.getpid()} (")
    assert pid_listening_on(port) is None
