"""What registering and removing gateways promises, as the scandir's owner and through the registrar."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hermes_cli.service_manager import (
    GatewayNotRegisteredError,
    InvalidNameError,
    PermissionDeniedError,
    S6CommandError,
    ServiceError,
    ServiceManager,
    ServiceSpec,
)
from tests.integration.s6.tree import HERMES_UID, REPOSITORY, SLOTCTL, Tree, make_tree, until

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users")

CODER = ServiceSpec("gateway-coder", ("/opt/hermes/venv/bin/hermes", "-p", "coder", "gateway", "run"))


def test_the_backend_keeps_the_protocol(tree: Tree) -> None:
    manager = tree.manager()
    assert isinstance(manager, ServiceManager)
    assert manager.kind == "s6"
    assert manager.supports_runtime_registration()


def test_a_registered_gateway_is_down_until_started(tree: Tree) -> None:
    manager = tree.manager()
    manager.register_profile_gateway("coder")
    manager.register_profile_gateway("zebra", start_now=True)
    manager.register_profile_gateway("default")
    assert manager.list_profile_gateways() == ["coder", "default", "zebra"]
    assert {name: status.in_words() for name, status in manager.status_all().items()} == {
        "gateway-coder": "down",
        "gateway-default": "down",
        "gateway-zebra": "ready",
    }
    assert manager.status_all(["gateway-ghost"])["gateway-ghost"].in_words() == "not registered"


def test_registering_twice_leaves_the_running_gateway_alone(tree: Tree) -> None:
    manager = tree.manager()
    manager.register_profile_gateway("coder", start_now=True)
    pid = manager.status("gateway-coder").pid
    manager.register_profile_gateway("coder")
    manager.register_profile_gateway("coder", start_now=True)
    assert manager.status("gateway-coder").pid == pid


def test_removing_stops_the_gateway_and_leaves_no_supervisor(tree: Tree) -> None:
    manager = tree.manager()
    manager.register_profile_gateway("coder", start_now=True, extra_env={"COLOUR": "blue"})
    pid = manager.status("gateway-coder").pid
    supervisor = tree.supervisor("gateway-coder")
    manager.unregister_profile_gateway("coder")
    assert pid is not None
    for gone in (pid, supervisor):
        with pytest.raises(ProcessLookupError):
            os.kill(gone, 0)
    assert manager.list_profile_gateways() == []
    assert list((tree.base / "env").iterdir()) == []
    manager.unregister_profile_gateway("coder")
    with pytest.raises(GatewayNotRegisteredError):
        manager.start("gateway-coder")


def test_a_removed_name_can_be_used_again_at_once(tree: Tree) -> None:
    manager = tree.manager()
    for _ in range(3):
        manager.register_profile_gateway("coder", start_now=True)
        manager.unregister_profile_gateway("coder")
    assert manager.list_profile_gateways() == []


def test_a_gateway_that_nothing_supervises_can_be_removed(tree: Tree) -> None:
    manager = tree.manager()
    (tree.scandir / "gateway-orphan").mkdir()
    began = time.monotonic()
    manager.unregister_profile_gateway("orphan")
    assert time.monotonic() - began < 5, "there is nobody to wait for"
    manager.unregister_profile_gateway("orphan")
    assert manager.list_profile_gateways() == []


def test_a_foreign_directory_goes_with_the_supervisor_it_was_given(tree: Tree) -> None:
    """Without a logger, unlike a slot: nobody is there to say that it has let go."""
    manager = tree.manager()
    (tree.scandir / "gateway-orphan").mkdir()
    subprocess.run(["s6-svscanctl", "-a", tree.scandir], check=True)
    until(lambda: manager.status_all()["gateway-orphan"].answering, "it is supervised")
    supervisor = tree.supervisor("gateway-orphan")
    manager.unregister_profile_gateway("orphan")
    with pytest.raises(ProcessLookupError):
        os.kill(supervisor, 0)
    assert manager.list_profile_gateways() == []
    manager.register_profile_gateway("orphan", start_now=True)
    assert manager.status("gateway-orphan").in_words() == "ready"


def test_many_gateways_come_and_go_at_the_same_time(tree: Tree) -> None:
    profiles = [f"p{number}" for number in range(8)]

    def live(profile: str) -> str:
        manager = tree.manager()
        manager.register_profile_gateway(profile, start_now=True)
        words = manager.status(f"gateway-{profile}").in_words()
        manager.unregister_profile_gateway(profile)
        return words

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(live, profiles)) == ["ready"] * 8
    assert tree.manager().list_profile_gateways() == []


def test_the_extra_environment_is_what_s6_envdir_gives_the_gateway(tree: Tree) -> None:
    manager = tree.manager()
    variables = {
        "PLAIN": "blue",
        "LINES": "one\ntwo\n",
        "EMPTY": "",
        "BLANKS": " in and after \t",
        "UTF": "žluť",
    }
    manager.register_profile_gateway("coder", extra_env=variables)
    directory = tree.base / "env/gateway-coder"
    seen = subprocess.run(["s6-envdir", "-n", directory, "env", "-0"], check=True, capture_output=True).stdout
    environment = dict(item.split("=", 1) for item in seen.decode().split("\0") if "=" in item)
    assert {name: environment.get(name) for name in variables} == variables
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / "PLAIN").stat().st_mode & 0o777 == 0o600
    manager.register_profile_gateway("coder", extra_env=None)
    assert (directory / "PLAIN").exists()
    manager.register_profile_gateway("coder", extra_env={"OTHER": "1"})
    assert [path.name for path in directory.iterdir()] == ["OTHER"]
    manager.register_profile_gateway("coder", extra_env={})
    assert list((tree.base / "env").iterdir()) == []


@pytest.mark.parametrize("name", ["", "A=B", "1ST", "A B", "../x", "Ä", "A\n"])
def test_a_variable_that_no_shell_could_use_is_refused_before_anything_is_made(tree: Tree, name: str) -> None:
    manager = tree.manager()
    with pytest.raises(InvalidNameError):
        manager.register_profile_gateway("coder", extra_env={name: "x"})
    assert manager.list_profile_gateways() == []
    assert list((tree.base / "env").iterdir()) == []


def test_install_never_starts_and_refuses_what_a_slot_cannot_be(tree: Tree) -> None:
    manager = tree.manager()
    manager.install(CODER)
    assert manager.status("gateway-coder").in_words() == "down"
    with pytest.raises(ServiceError, match="gateway run"):
        manager.install(ServiceSpec("gateway-evil", ("/bin/sh", "-c", "id")))
    with pytest.raises(ServiceError, match="stop_timeout"):
        manager.install(ServiceSpec(CODER.name, CODER.command, stop_timeout=5))
    with pytest.raises(InvalidNameError):
        manager.install(ServiceSpec("dashboard", CODER.command))
    assert manager.list_profile_gateways() == ["coder"]
    manager.uninstall("gateway-coder")
    assert manager.list_profile_gateways() == []


def test_render_is_what_install_writes(tree: Tree) -> None:
    manager = tree.manager()
    spec = ServiceSpec(CODER.name, CODER.command, environment={"COLOUR": "blue"})
    rendered = manager.render(spec)
    assert not (tree.scandir / "gateway-coder").exists()
    manager.install(spec)
    for file in rendered:
        assert file.path.read_text() == file.content, file.path
        if file.content and file.path.parent != tree.base / "env/gateway-coder":
            assert bool(file.path.stat().st_mode & 0o100) == bool(file.mode & 0o100)
    assert {file.path.name for file in rendered} >= {"run", "finish", "down", "COLOUR"}


@pytest.fixture
def registrar(tree: Tree) -> Iterator[Tree]:
    """The tree of root, and the registrar for uid hermes, made as the image makes it."""
    rules = tree.base / "rules"
    (rules / f"uid/{HERMES_UID}").mkdir(parents=True)
    (rules / f"uid/{HERMES_UID}/allow").touch()
    (rules / "uid/default").mkdir()
    (rules / "uid/default/deny").touch()
    command = ["s6-ipcserver", "-1", "--", f"{tree.base}/registrar"]
    command += ["s6-ipcserver-access", "-v0", "-i", f"{rules}", "--", "s6-sudod", f"{SLOTCTL}"]
    server = subprocess.Popen(
        command,
        env=tree.environment | {"HERMES_SCANDIR": os.fspath(tree.scandir)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    assert server.stdout is not None
    with server.stdout:
        assert server.stdout.readline()  # -1: a line when it listens
        for name in ("env", "locks"):
            shutil.chown(tree.base / name, HERMES_UID, HERMES_UID)
        yield tree
        server.terminate()
        server.wait(10)


def as_uid(uid: int, tree: Tree, script: str) -> str:
    """Run Python with `manager` in it as a user with nothing but `uid` and the gid of the same number."""
    # Copies: the checkout may lie where other users may not look.
    for part in ("hermes_cli", "docker"):
        shutil.copytree(REPOSITORY / part, tree.base / part, ignore=shutil.ignore_patterns("__pycache__"))
    program = f"""
from pathlib import Path
from hermes_cli.service_manager import *
base = Path({os.fspath(tree.base)!r})
manager = S6ServiceManager(
    base / "scandir", slotctl=base / "docker/slotctl", registrar=base / "registrar", env_dir=base / "env",
    lock_dir=base / "locks", log_root=base / "echo/logs", start_timeout=10, stop_timeout=10)
def error(verb, *arguments):
    try:
        verb(*arguments)
    except ServiceError as problem:
        return type(problem).__name__
{script}"""
    done = subprocess.run(
        [python_for(uid), "-c", program],
        env=os.environ | {"TMPDIR": os.fspath(tree.base), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tree.base,
        user=uid,
        group=uid,
        extra_groups=[],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def python_for(uid: int) -> str:
    """An interpreter that `uid` may run; the library needs nothing but its standard library."""
    question = "import sys; sys.exit(sys.version_info < (3, 11))"
    for candidate in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            subprocess.run(
                [candidate, "-c", question], user=uid, group=uid, extra_groups=[], cwd="/", check=True
            )
            return candidate
    pytest.skip(f"no Python of 3.11 or newer that uid {uid} may run")


@needs_root
def test_the_service_user_does_everything_through_the_registrar_but_writes_nothing(registrar: Tree) -> None:
    printed = as_uid(
        HERMES_UID,
        registrar,
        """
manager.register_profile_gateway("coder", start_now=True, extra_env={"COLOUR": "blue"})
first = manager.status("gateway-coder")
manager.restart("gateway-coder")
second = manager.status("gateway-coder")
print(first.in_words(), second.in_words(), first.pid != second.pid, second.restarts)
manager.stop("gateway-coder")
print(manager.status_all()["gateway-coder"].in_words())
manager.start("gateway-coder")
import os
for path in ("x", "supervise/x", "event/x", "log/x", "log/event/x", "supervise/status", "run"):
    try:
        os.open(base / "scandir/gateway-coder" / path, os.O_WRONLY | os.O_CREAT)
        print("wrote", path)
    except PermissionError:
        pass
manager.unregister_profile_gateway("coder")
print(manager.list_profile_gateways(), list((base / "env").iterdir()))
""",
    )
    assert printed.splitlines() == ["ready ready True 0", "down", "[] []"]


@needs_root
def test_another_user_is_told_that_it_may_not(registrar: Tree) -> None:
    registrar.manager().register_profile_gateway("coder", start_now=True)
    printed = as_uid(
        65534,
        registrar,
        """
print(error(manager.start, "gateway-coder"), error(manager.stop, "gateway-coder"))
print(error(manager.status, "gateway-coder"), manager.status_all()["gateway-coder"].in_words())
print(error(manager.register_profile_gateway, "other"))
""",
    )
    denied = PermissionDeniedError.__name__
    lines = printed.splitlines()
    assert lines[0] == f"{denied} {denied}"
    assert lines[1] == f"{denied} not answering"
    assert lines[2] == denied
    assert registrar.manager().list_profile_gateways() == ["coder"]


@needs_root
def test_a_tree_of_one_unprivileged_uid_needs_no_registrar(monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("s6-svscan") is None:
        pytest.skip("s6 is not installed (Debian: apt-get install s6 execline)")
    tree = make_tree(monkeypatch)
    try:
        for path in (tree.base, *tree.base.rglob("*")):
            shutil.chown(path, 65534, 65534)
        tree.begin(user=65534, group=65534, extra_groups=[])
        printed = as_uid(
            65534,
            tree,
            """
manager.register_profile_gateway("coder", start_now=True)
manager.restart("gateway-coder")
print(manager.status("gateway-coder").in_words(), manager.list_profile_gateways())
manager.unregister_profile_gateway("coder")
print(manager.list_profile_gateways())
""",
        )
        assert printed.splitlines() == ["ready ['coder']", "[]"]
    finally:
        tree.end()
        shutil.rmtree(tree.base)


def test_without_s6_programs_the_error_says_what_is_missing(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = tree.manager()
    manager.register_profile_gateway("coder")
    monkeypatch.setattr("hermes_cli.service_manager.spawn._EXTRA_PATH", "")
    monkeypatch.setenv("PATH", os.fspath(tree.base))
    with pytest.raises(S6CommandError, match="not installed"):
        manager.start("gateway-coder")


def test_no_programs_output_or_end_is_left_behind(tree: Tree) -> None:
    manager = tree.manager()
    manager.register_profile_gateway("coder", start_now=True)
    before = sorted(Path("/proc/self/fd").iterdir())
    for _ in range(5):
        manager.restart("gateway-coder")
        manager.status_all()
        list(manager.logs("gateway-coder"))
    assert len(sorted(Path("/proc/self/fd").iterdir())) == len(before)
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    if children.exists():
        assert not {program_of_zombie(pid) for pid in children.read_text().split()} & PROGRAMS


PROGRAMS = {"s6-svc", "s6-svstat", "s6-svdt", "slotctl"}


def program_of_zombie(pid: str) -> str | None:
    """Its name, if it has ended and nobody took its exit code. As PID 1, pytest has others' too."""
    before, _, after = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    return before.partition("(")[2] if after.split()[0] == "Z" else None
