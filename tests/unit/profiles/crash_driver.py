"""Runs one change of profiles again and again, killed (SIGKILL) before its 1st, 2nd, 3rd … change to a file.

Called by test_interrupted.py in a process of its own, because an audit hook cannot be taken off again.
Prints one JSON line for each crash: what was there after the crash, after recovery, and what recovery said.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from hermes_cli.gateway.records import IntentRecord
from hermes_cli.home import Home, save
from hermes_cli.profiles import create_profile, delete_profile, recover_half_done, rename_profile, survey
from tests.fakes.supervisor import FileSupervisor

_OPERATIONS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.truncate", "os.chmod")
_MOST = 400


def main() -> None:
    action, base = sys.argv[1], Path(sys.argv[2])
    for crash_at in range(1, _MOST):
        root = base / str(crash_at)
        supervisor = FileSupervisor(base / f"slots-{crash_at}")
        _prepare(action, root, supervisor)
        finished = not _crash(action, root, supervisor, crash_at)
        after_crash = _look(root, supervisor)
        said = recover_half_done(supervisor, root)
        print(
            json.dumps(
                {
                    "at": crash_at,
                    "finished": finished,
                    "crashed": after_crash,
                    "recovered": _look(root, supervisor),
                }
                | {"said": said, "again": recover_half_done(supervisor, root)}
            ),
            flush=True,
        )
        if finished:
            return
    raise SystemExit(f"{action} did not finish within {_MOST} operations")


def _prepare(action: str, root: Path, supervisor: FileSupervisor) -> None:
    create_profile("bystander", manager=supervisor, root=root)
    if action != "create":
        create_profile("coder", manager=supervisor, root=root)
        home = Home("coder", root)
        save(home.intent, IntentRecord(intent="running", requested_at=1.0))
        (home.path / "work" / "deep").mkdir(parents=True)
        (home.path / "work" / "deep" / "file").write_text("precious")
        supervisor.start("gateway-coder")


def _crash(action: str, root: Path, supervisor: FileSupervisor, crash_at: int) -> bool:
    """Do `action` in a child that is killed before operation number `crash_at`; whether it was."""
    child = os.fork()
    if child == 0:
        left = crash_at

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            # Reading changes nothing: a crash before it leaves what a crash before the next change leaves.
            if event not in _OPERATIONS or (event == "open" and not _writes(arguments)):
                return
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        if action == "create":
            create_profile("coder", manager=supervisor, root=root)
        elif action == "delete":
            delete_profile("coder", manager=supervisor, root=root)
        else:
            rename_profile("coder", "writer", manager=supervisor, root=root)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"{action} failed by itself at operation {crash_at}")
    return False


def _writes(arguments: tuple[object, ...]) -> bool:
    flags = arguments[2] if len(arguments) > 2 else 0
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))


def _look(root: Path, supervisor: FileSupervisor) -> dict[str, object]:
    found = survey(root)
    return {
        "profiles": {profile.name: profile.config_error for profile in found.profiles},
        "ports": [profile.port for profile in found.profiles],
        "strays": found.strays,
        "slots": supervisor.slots(),
        "hidden": sorted(path.name for path in (root / "profiles").iterdir() if path.name.startswith(".")),
        "files": len([path for path in (root / "profiles").rglob("*") if path.name == "file"]),
    }


if __name__ == "__main__":
    main()
