"""Start, stop and restart as the operator means them."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hermes_cli.gateway import lifecycle as module
from hermes_cli.gateway import park
from hermes_cli.gateway.lifecycle import Lifecycle, NoSuchHomeError, VolumeHeldError
from hermes_cli.gateway.lock import holder_of
from hermes_cli.home import Home, HomeError
from hermes_cli.service_manager import (
    GatewayNotRegisteredError,
    NoServiceManagerError,
    ServiceParkedError,
)
from tests.fakes.supervisor import FileHost, FileSupervisor


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileSupervisor:
    monkeypatch.setattr(module, "VOLUME_HELD", tmp_path / "volume-held")
    made = FileSupervisor(tmp_path / "slots")
    made.register_profile_gateway("coder")
    return made


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home.of("coder", tmp_path / "root")
    made.path.mkdir(parents=True)
    return made


@pytest.fixture
def gateway(manager: FileSupervisor, home: Home) -> Lifecycle:
    return Lifecycle(manager, home.root)


def test_start_writes_the_intent_clears_the_slip_and_starts(
    gateway: Lifecycle, manager: FileSupervisor, home: Home
) -> None:
    park.park(home, "crash_loop", "it crashed")
    before = time.time()
    gateway.start("coder")
    assert manager.slots() == {"coder": "up"}
    intent = gateway.intent("coder")
    assert intent is not None
    assert intent.intent == "running"
    assert before <= intent.requested_at <= time.time()
    assert gateway.parked("coder") is None
    assert home.intent.stat().st_mode & 0o777 == 0o600


def test_stop_writes_the_intent_and_stops(gateway: Lifecycle, manager: FileSupervisor) -> None:
    gateway.start("coder")
    gateway.stop("coder")
    gateway.stop("coder")
    assert manager.slots() == {"coder": "down"}
    intent = gateway.intent("coder")
    assert intent is not None
    assert intent.intent == "stopped"


def test_a_corrupt_intent_is_overwritten(gateway: Lifecycle, home: Home) -> None:
    home.intent.write_bytes(b"\xff{")
    gateway.start("coder")
    intent = gateway.intent("coder")
    assert intent is not None
    assert intent.intent == "running"


def test_keys_of_a_later_version_survive_in_the_intent(gateway: Lifecycle, home: Home) -> None:
    home.intent.write_text('{"version": 9, "intent": "stopped", "requested_at": 1, "later": {"a": 1}}')
    gateway.start("coder")
    assert '"later"' in home.intent.read_text()


def test_a_park_during_the_start_is_told_with_the_gateways_own_reason(
    gateway: Lifecycle, manager: FileSupervisor, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parks(name: str) -> None:
        park.park(home, "config", "config.yaml:3: port: expected a number")
        raise ServiceParkedError(name, "it gave up while starting (exit code 78)")

    monkeypatch.setattr(manager, "start", parks)
    with pytest.raises(ServiceParkedError, match=r"config\.yaml:3"):
        gateway.start("coder")


def test_a_held_volume_starts_nothing_and_names_the_holder(
    gateway: Lifecycle, manager: FileSupervisor, home: Home
) -> None:
    module.VOLUME_HELD.write_text("container 0123abcd\n")
    for verb in (gateway.start, gateway.restart):
        with pytest.raises(VolumeHeldError, match="0123abcd"):
            verb("coder")
    assert manager.slots() == {"coder": "down"}
    assert not home.intent.exists()


def test_a_missing_profile_is_refused_before_anything_is_written(gateway: Lifecycle, home: Home) -> None:
    with pytest.raises(NoSuchHomeError, match="writer"):
        gateway.start("writer")
    assert sorted(path.name for path in home.path.parent.iterdir()) == ["coder"]


def test_a_missing_slot_is_told(gateway: Lifecycle, manager: FileSupervisor) -> None:
    manager.unregister_profile_gateway("coder")
    for verb in (gateway.start, gateway.stop, gateway.restart):
        with pytest.raises(GatewayNotRegisteredError, match="coder"):
            verb("coder")


@pytest.mark.parametrize(("number", "words"), [(errno.ENOSPC, "full"), (errno.EROFS, "read-only")])
def test_a_home_that_cannot_be_written_starts_nothing(
    gateway: Lifecycle, manager: FileSupervisor, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def fails(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module, "save", fails)
    with pytest.raises(HomeError, match=words):
        gateway.start("coder")
    assert manager.slots() == {"coder": "down"}


def test_commands_on_one_gateway_wait_for_each_other(
    gateway: Lifecycle, manager: FileSupervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go_on = threading.Event(), threading.Event()
    original = manager.start

    def slow(name: str) -> None:
        entered.set()
        assert go_on.wait(10)
        original(name)

    monkeypatch.setattr(manager, "start", slow)
    starter = threading.Thread(target=gateway.start, args=("coder",))
    starter.start()
    assert entered.wait(10)
    stopper = threading.Thread(target=gateway.stop, args=("coder",))
    stopper.start()
    stopper.join(0.2)
    assert stopper.is_alive()
    go_on.set()
    starter.join(10)
    stopper.join(10)
    intent = gateway.intent("coder")
    assert intent is not None
    assert (manager.slots()["coder"], intent.intent) == ("down", "stopped")


def test_stop_ends_a_gateway_that_no_manager_knows(home: Home) -> None:
    program = (
        "import sys, time; from pathlib import Path; from hermes_cli.gateway.lock import HomeLock; "
        "from hermes_cli.home import Home; HomeLock(Home.of('coder', Path(sys.argv[1]))).acquire(); "
        "print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, home.root], stdout=subprocess.PIPE) as stray:
        assert stray.stdout is not None
        stray.stdout.readline()
        assert holder_of(home) is not None
        Lifecycle(None, home.root).stop("coder")
        assert holder_of(home) is None
        assert stray.wait(5) == -15


def test_without_a_manager_nothing_can_be_started(home: Home, tmp_path: Path) -> None:
    with pytest.raises(NoServiceManagerError):
        Lifecycle(None, home.root).start("coder")
    assert not home.intent.exists()
    Lifecycle(None, home.root).stop("coder")


@pytest.mark.parametrize("verb", ["start", "stop", "restart"])
def test_on_a_host_what_is_not_installed_is_told_how_to_be_and_nothing_is_written(
    home: Home, tmp_path: Path, verb: str
) -> None:
    lifecycle = Lifecycle(FileHost(tmp_path / "units"), home.root)
    with pytest.raises(GatewayNotRegisteredError, match="'hermes -p coder gateway install'"):
        getattr(lifecycle, verb)("coder")
    assert home.intent.exists() == (verb == "stop")


def test_a_profile_that_goes_while_its_gateway_starts_is_what_the_error_says(
    manager: FileSupervisor, home: Home
) -> None:
    def start(name: str) -> None:
        home.path.rename(home.path.with_name(".coder.deleted"))
        raise GatewayNotRegisteredError("coder", name)

    manager.start = start  # type: ignore[method-assign]
    with pytest.raises(NoSuchHomeError, match="there is no profile 'coder'"):
        Lifecycle(manager, home.root).start("coder")
    assert not home.path.exists()


def test_a_start_that_waited_for_a_deletion_makes_no_home_again(
    gateway: Lifecycle, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The home goes between the look at it and the lock in it."""
    looked = Path.is_dir

    def is_dir(path: Path, **options: bool) -> bool:
        there = looked(path, **options)
        if path == home.path and there:
            path.rename(path.with_name(".coder.deleted"))
        return there

    with monkeypatch.context() as patch:
        patch.setattr(Path, "is_dir", is_dir)
        with pytest.raises(NoSuchHomeError):
            gateway.start("coder")
    assert not home.path.exists()
