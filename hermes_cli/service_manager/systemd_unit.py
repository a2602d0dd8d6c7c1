"""What a specification becomes in systemd: unit files and an environment file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from .errors import UnsupportedSpecError
from .installed import signed
from .systemctl import Level
from .systemd_layout import Installation, Layout
from .systemd_quoting import absolute, command_line, description, environment_file, pattern, quoted, specified
from .types import RenderedFile, ServiceSpec

RESTART_STEPS_SINCE = 254
"""RestartSteps=, RestartMaxDelaySec= and RestartMode= (systemd.service(5))."""

_MAX_LINE = 1_000_000
"""Bytes of a unit file's line: systemd refuses a file with a longer one than 1 MiB."""

_AT_ONCE = 0.1
"""Seconds: RestartSteps= goes up in equal ratios, and there is none from zero."""

_UNPARK = 'exec rm -f -- "$1"'
_BOOT = 'exec systemctl "--$1" --no-block start "$2"'

_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def render(spec: ServiceSpec, layout: Layout, version: int) -> list[RenderedFile]:
    """The files of `spec` for systemd `version`, in the order in which they may appear on disk.

    Raises `UnsupportedSpecError` for what systemd cannot carry.
    """
    files = Installation(spec.name, layout)
    rendered = []
    if spec.environment:
        rendered.append(RenderedFile(files.environment_path, signed(environment_file(spec)), 0o600))
    rendered.append(RenderedFile(files.parked_path, signed(_parked_unit(spec, files))))
    if spec.start_at_boot:
        rendered.append(RenderedFile(files.boot_path, signed(_boot_unit(spec, files))))
    rendered.append(RenderedFile(files.path, signed(_service_unit(spec, files, version))))
    return rendered


def _service_unit(spec: ServiceSpec, files: Installation, version: int) -> str:
    policy = spec.restart
    lines = [
        "[Unit]",
        f"Description={description(spec)}",
        # Whoever starts it while it is being parked: its marker is written, and then removed.
        f"After=network.target {files.parked_unit}",
        f"OnFailure={files.parked_unit}",
        f"StartLimitBurst={_start_limit(spec)}",
        f"StartLimitIntervalSec={seconds(policy.window)}",
        "",
        "[Service]",
        *(["Type=notify", "NotifyAccess=main"] if spec.notify else ["Type=exec"]),
        *_user(spec, files.layout.level),
        *_working_directory(spec),
        *([f"EnvironmentFile={pattern(files.environment_path)}"] if spec.environment else []),
        f"ExecStartPre=-{_shell(files, _UNPARK, [os.fspath(files.marker)])}",
        f"ExecStart=:{command_line(spec)}",
        *_output(spec),
        f"SyslogIdentifier={spec.name}",
        f"TimeoutStartSec={seconds(spec.start_timeout)}",
        f"TimeoutStopSec={seconds(spec.stop_timeout)}",
        *(["KillMode=mixed"] if spec.kill_children else ["KillMode=process", "OOMPolicy=continue"]),
        "Restart=always",
        f"RestartPreventExitStatus={' '.join(map(str, policy.permanent_exit_codes))}",
        *_restart_delays(spec, files, version),
    ]
    if spec.start_at_boot:
        lines += ["", "[Install]", f"Also={files.boot_unit}"]
    return _text(spec, lines)


def _boot_unit(spec: ServiceSpec, files: Installation) -> str:
    """Enabled in the service's stead. So what starts at boot can be told from a person's start: only the
    first asks whether it is parked, and the second needs no guess.
    """
    lines = [
        "[Unit]",
        f"Description=Start {files.unit} at boot, unless it is parked",
        f"ConditionPathExists=!{specified(os.fspath(files.marker))}",
        "",
        "[Service]",
        "Type=oneshot",
        "RemainAfterExit=yes",
        f"ExecStart={_shell(files, _BOOT, [files.layout.level, files.unit])}",
        "",
        "[Install]",
        f"WantedBy={files.layout.target}",
    ]
    return _text(spec, lines)


def _parked_unit(spec: ServiceSpec, files: Installation) -> str:
    arguments = [files.layout.level, files.unit, os.fspath(files.marker), str(_start_limit(spec))]
    codes = [str(code) for code in spec.restart.permanent_exit_codes]
    lines = [
        "[Unit]",
        f"Description=Note that {files.unit} is parked",
        "",
        "[Service]",
        "Type=oneshot",
        f"ExecStart={_shell(files, _script('systemd_park.sh'), arguments + codes)}",
    ]
    return _text(spec, lines)


def _start_limit(spec: ServiceSpec) -> int:
    """What counts its starts by itself parks by itself; the limit here is for when it is too broken to."""
    return spec.restart.max_unclean_starts * (2 if spec.keeps_own_ledger else 1)


def _restart_delays(spec: ServiceSpec, files: Installation, version: int) -> list[str]:
    policy = spec.restart
    first = max(policy.first_delay, _AT_ONCE)
    longest = max(policy.backoff, default=first)
    if spec.keeps_own_ledger or longest <= first:
        delays = [f"RestartSec={seconds(policy.first_delay)}"]
    elif version < RESTART_STEPS_SINCE:
        # One delay for all restarts: at once would use up the limit within a second.
        delays = [f"RestartSec={seconds(max(first, policy.backoff[0]))}"]
    else:
        delays = [
            f"RestartSec={seconds(first)}",
            f"RestartSteps={len(policy.backoff)}",
            f"RestartMaxDelaySec={seconds(longest)}",
        ]
    if version >= RESTART_STEPS_SINCE:
        # Or every crash would end a start that is waited for, and call OnFailure=.
        delays.append("RestartMode=direct")
    arguments = [files.layout.level, files.unit, str(max(1, round(policy.window)))]
    arguments += [str(code) for code in policy.permanent_exit_codes]
    return [*delays, f"ExecStopPost=-{_shell(files, _script('systemd_steady.sh'), arguments)}"]


def _user(spec: ServiceSpec, level: Level) -> list[str]:
    if spec.user is None:
        return []
    if level == "user":
        raise UnsupportedSpecError(
            spec.name,
            "user",
            "a user's systemd runs everything as that user; install it for the whole system",
        )
    if not _USER.fullmatch(spec.user):
        raise UnsupportedSpecError(spec.name, "user", f"{spec.user!r} is no user's name")
    return [f"User={spec.user}"]


def _working_directory(spec: ServiceSpec) -> list[str]:
    if spec.working_directory is None:
        return []
    path = absolute(spec, "working_directory", spec.working_directory)
    # A blank at the end would be lost, a backslash would take the next line with it.
    return [f"WorkingDirectory={specified(path)}" + ("/." if path.endswith((" ", "\\")) else "")]


def _output(spec: ServiceSpec) -> list[str]:
    if spec.stdout is None:
        return ["StandardOutput=journal", "StandardError=inherit"]
    path = absolute(spec, "stdout", spec.stdout)
    if path.endswith((" ", "\\")):
        raise UnsupportedSpecError(
            spec.name, "stdout", "a file's name cannot end with a blank or a backslash"
        )
    return [f"StandardOutput=append:{specified(path)}", "StandardError=inherit"]


def output_of(unit_text: str) -> Path | None:
    """The file that a unit rendered here writes its output to; None for the journal."""
    found = re.search(r"^StandardOutput=append:(.*)$", unit_text, re.MULTILINE)
    return Path(found.group(1).replace("%%", "%")) if found else None


def seconds(value: float) -> str:
    """A time span for systemd: whole seconds, or milliseconds."""
    return f"{value:.0f}" if value == round(value) else f"{max(1, round(value * 1000))}ms"


def _text(spec: ServiceSpec, lines: Iterable[str]) -> str:
    lines = list(lines)
    if any(len(os.fsencode(line)) > _MAX_LINE for line in lines):
        raise UnsupportedSpecError(spec.name, "command", "systemd reads lines of 1 MiB at most")
    return "".join(f"{line}\n" for line in lines)


def _shell(files: Installation, script: str, arguments: list[str]) -> str:
    """A command that runs `script` with its arguments, as whoever owns the service manager.

    The script is in the unit, not beside it: at the system level root runs it, and where this package
    is installed may be writable for others.
    """
    privileged = "+" if files.layout.level == "system" else ""
    words = ["/bin/sh", "-c", script, "sh", *arguments]
    return f"{privileged}:" + " ".join(quoted(word) for word in words)


def _script(name: str) -> str:
    """A script of this package without its comments."""
    lines = Path(__file__).with_name(name).read_text("utf-8").splitlines()
    return "\n".join(line for line in lines if line.strip() and not line.lstrip().startswith("#"))
