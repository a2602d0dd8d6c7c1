"""The `terminal` tool: a command in the foreground with a deadline, or in the background with an id."""

from __future__ import annotations

import contextlib
import posixpath
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hermes_cli.processes.errors import ProcessError
from hermes_cli.processes.types import Killed, StartRequest, Waited

from . import arguments, danger
from .approvals import Approvals
from .arguments import Field
from .context import ToolContext
from .errors import ArgumentError
from .limits import KILL_GRACE, MAX_CHECK_INTERVAL, MIN_CHECK_INTERVAL
from .output import Shortened, whole_output
from .permission import permission
from .progress import ProgressReports, tell_new
from .results import Result, failure, plain
from .verbs import ProcessVerbs

_ARGUMENTS = {
    "command": Field(arguments.command, ("cmd", "script", "shell_command")),
    "background": Field(arguments.flag, ("run_in_background", "is_background")),
    "timeout": Field(arguments.seconds, ("timeout_seconds", "timeout_s")),
    "workdir": Field(arguments.text, ("cwd", "working_directory", "working_dir", "directory")),
    "pty": Field(arguments.flag, ("tty", "use_pty")),
    "notify_on_complete": Field(arguments.flag, ("notify",)),
    "watch_patterns": Field(arguments.texts, ("watch_pattern", "patterns")),
    "check_interval": Field(arguments.seconds),
}
_ALONE = {
    "GIT_TERMINAL_PROMPT": "0",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "SYSTEMD_PAGER": "cat",
    "MANPAGER": "cat",
}
"""For a foreground command: nobody is there to answer a prompt or to leave a pager."""
_ASKERS = frozenset({"sudo", "doas", "su", "pkexec"})
_NEEDS_PASSWORD = re.compile(
    r"sudo: (?:a password is required|a terminal is required|no tty present|no password was provided|"
    r"(?:sorry, )?you must have a tty)|sudo: .*askpass|su: must be run from a terminal|"
    r"su: Authentication failure|doas: (?:a tty is required|Authori[sz]ation (?:required|failed))|"
    r"polkit.*authentication agent",
    re.IGNORECASE,
)
_LONG_SLEEP = 10.0
_MOST_PATH = 4096


class Terminal:
    """Runs commands through a registry. `longest`: seconds a foreground command may take."""

    def __init__(
        self,
        registry: ProcessVerbs,
        approvals: Approvals,
        longest: float,
        reports: ProgressReports,
        home: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`home`: what `~` means where the commands run, for callers that do not say it."""
        self._registry = registry
        self._approvals = approvals
        self._longest = longest
        self._reports = reports
        self._home = home

    def call(self, raw: object, context: ToolContext) -> Result:
        """Raises `ArgumentError`, `ProcessError` and `OSError` for what could not be started."""
        values, warnings = arguments.parse(raw, _ARGUMENTS)
        if "command" not in values:
            raise ArgumentError("command is missing; give the line to run")
        command = values["command"]
        checked = danger.check(command)
        refused = permission(self._approvals, context, command, checked)
        if refused is not None:
            return refused
        if str(values.get("workdir") or "").strip().startswith("~") and context.home_directory is None:
            context = replace(context, home_directory=self._home())
        cwd = directory(values.get("workdir"), context)
        warnings += _advice(checked, background=values.get("background", False))
        if values.get("background"):
            return self._background(command, cwd, values, checked, context, warnings)
        return self._foreground(command, cwd, values, checked, context, warnings)

    def _background(
        self,
        command: str,
        cwd: str | None,
        values: Mapping[str, Any],
        checked: danger.Checked,
        context: ToolContext,
        warnings: list[str],
    ) -> Result:
        pty = values.get("pty", False)
        started = self._registry.start(
            StartRequest(
                command=command,
                cwd=cwd,
                pty=pty,
                owner=context.owner,
                notify_on_complete=values.get("notify_on_complete", False),
                watch_patterns=values.get("watch_patterns", ()),
            )
        )
        if "timeout" in values:
            warnings.append(
                "timeout is for the foreground; a background process runs until it ends or is killed"
            )
        if checked.programs & _ASKERS and not pty:
            warnings.append(
                "without pty=true nobody can type a password: sudo works only where it needs none"
            )
        interval = _interval(values, context, warnings)
        if interval is not None and context.progress is not None:
            self._reports.start(started.session_id, interval, context.progress)
        if values.get("notify_on_complete"):
            next_step = "You are told when it ends; go on with other work."
        else:
            next_step = (
                "process(action='poll') shows new output, process(action='wait') blocks until it ends."
            )
        return plain(started, message=next_step) | _warned([*warnings, *started.warnings])

    def _foreground(
        self,
        command: str,
        cwd: str | None,
        values: Mapping[str, Any],
        checked: danger.Checked,
        context: ToolContext,
        warnings: list[str],
    ) -> Result:
        patience, note = self._patience(values.get("timeout"))
        for name in ("notify_on_complete", "watch_patterns"):
            if values.get(name):
                warnings.append(f"{name} is for background=true; here you have the whole output at once")
        pty = values.get("pty", False)
        if pty and checked.programs & _ASKERS:
            pty = False
            warnings.append(
                "run without a pty: in one, a question for a password would wait for nobody's answer"
            )
        interval = _interval(values, context, warnings)
        began = time.monotonic()
        started = self._registry.start(
            StartRequest(
                command=command, cwd=cwd, pty=pty, stdin="null", owner=context.owner, environment=dict(_ALONE)
            )
        )
        session_id = started.session_id
        try:
            waited = self._wait(session_id, began + patience, interval, context)
            ending = self._end(session_id, waited, patience)
        except BaseException as error:
            # Whatever went wrong here, nothing may be left running that nobody waits for.
            killed = self._kill(session_id)
            if not isinstance(error, (ProcessError, OSError)):
                raise
            left = "" if killed.status != "error" else f"; it may still run: {killed.message}"
            told = failure(error, session_id=session_id, tool="terminal")
            return told | {"message": told["message"] + left}
        output = self._output(session_id, warnings)
        result: Result = {
            "session_id": session_id,
            **ending,
            "output": output.text if output else "",
            "duration_seconds": round(time.monotonic() - began, 3),
        }
        if output and output.left_out:
            result["output_left_out_bytes"] = output.left_out
        if note:
            result["timeout_note"] = note
        if ending["status"] == "exited":
            self._explain(result, checked, context)
            if output and not output.left_out and "descendants" not in result:
                self._forget(session_id)
                del result["session_id"]
        return result | _warned([*warnings, *started.warnings])

    def _forget(self, session_id: str) -> None:
        """All of it was told: it takes no place among those that are kept."""
        with contextlib.suppress(ProcessError, OSError):
            self._registry.forget(session_id)

    def _patience(self, asked: float | None) -> tuple[float, str | None]:
        limit = self._longest
        if asked is None or 0 < asked <= limit:
            return (limit if asked is None else asked), None
        if asked == 0:
            return limit, f"a timeout of 0 would end it at once; {limit:g} s it is"
        return limit, (
            f"the timeout of {asked:g} s was cut to {limit:g} s, the most that TERMINAL_TIMEOUT allows; "
            "for longer work use background=true and notify_on_complete=true"
        )

    def _wait(self, session_id: str, deadline: float, interval: float | None, context: ToolContext) -> Waited:
        cursor = 0
        while True:
            left = max(0.0, deadline - time.monotonic())
            step = left if interval is None else min(interval, left)
            waited = self._registry.wait(session_id, timeout=step, interrupted=context.interrupted)
            if waited.status != "timeout" or time.monotonic() >= deadline:
                return waited
            if interval is not None and context.progress is not None:
                cursor = tell_new(self._registry, session_id, cursor, context.progress)

    def _end(self, session_id: str, waited: Waited, patience: float) -> Result:
        """How it ended; what still runs is ended here."""
        if waited.status not in ("timeout", "interrupted"):
            fields = plain(waited)
            return {key: fields[key] for key in ("status", "exit_code", "signal", "reason") if key in fields}
        why = f"it took longer than {patience:g} s" if waited.status == "timeout" else "it was interrupted"
        killed = self._kill(session_id)
        if killed.status == "already_exited":
            fields = plain(killed)
            ended: Result = {key: fields[key] for key in ("exit_code", "signal") if key in fields}
            return {"status": "exited", **ended}
        result: Result = {"status": waited.status, "exit_code": killed.exit_code, "signal": killed.signal}
        if killed.status == "killed":
            told = f"{why} and was killed with all that it started; nothing of it runs any more"
        else:
            told = (
                f"{why}, and could not be killed whole: {killed.message}. process(action='kill') tries again"
            )
        if waited.status == "timeout":
            told += ". What needs longer goes with background=true and notify_on_complete=true"
        return {key: value for key, value in result.items() if value is not None} | {
            "killed_processes": killed.ended,
            "message": told,
        }

    def _kill(self, session_id: str) -> Killed:
        try:
            return self._registry.kill(session_id, grace=KILL_GRACE)
        except (ProcessError, OSError) as error:
            return Killed(session_id, "error", message=str(error))

    def _output(self, session_id: str, warnings: list[str]) -> Shortened | None:
        try:
            return whole_output(self._registry, session_id)
        except (ProcessError, OSError) as error:
            warnings.append(f"its output could not be read: {error}")
            return None

    def _explain(self, result: Result, checked: danger.Checked, context: ToolContext) -> None:
        """Say what an exit code and an output alone do not."""
        if result.get("exit_code") and _NEEDS_PASSWORD.search(result["output"][-4000:]):
            result["code"] = "needs_password"
            result["message"] = (
                "it needs a password, and nobody can type one here. Ask the user to allow it without one "
                "(NOPASSWD), or to run it; or start it with background=true, pty=true and submit a password "
                "that the user gave you for this"
            )
            return
        owner = context.owner
        rows = self._registry.list(session_key=owner.session_key, task_id=owner.task_id)
        left = next((row.descendants for row in rows if row.session_id == result["session_id"]), None)
        if left:
            result["descendants"] = left
            result["message"] = (
                f"it ended and left {left} process{'es' if left > 1 else ''} running; process(action='kill') "
                "with its session_id ends them. Servers are better started with background=true"
            )


def directory(workdir: str | None, context: ToolContext) -> str | None:
    """The absolute directory that is meant. Whether it is there, the start of the command finds out.

    Raises `ArgumentError`.
    """
    given = (workdir or "").strip()
    if not given:
        return context.workspace
    if "\x00" in given or "\n" in given or len(given) > _MOST_PATH:
        raise ArgumentError(
            "workdir is no path: it holds a NUL or a line break, or is longer than 4096 characters"
        )
    if "://" in given:
        raise ArgumentError(f"workdir must be a path, not the address {given[:80]!r}")
    if given == "~" or given.startswith("~/"):
        if context.home_directory is None:
            raise ArgumentError("workdir: nobody knows what ~ means there; give the absolute path")
        return posixpath.normpath(posixpath.join(context.home_directory, given[2:]))
    if given.startswith("~") or "$" in given:
        raise ArgumentError(f"workdir {given[:80]!r} is not expanded by a shell; give the absolute path")
    if given.startswith("/"):
        return given
    if context.workspace is None:
        raise ArgumentError(
            f"workdir {given[:80]!r} is relative, and there is no workspace; give the absolute path"
        )
    return posixpath.join(context.workspace, given)


def _interval(values: Mapping[str, Any], context: ToolContext, warnings: list[str]) -> float | None:
    asked = values.get("check_interval")
    if not asked:
        return None
    if context.progress is None:
        warnings.append("check_interval has no effect: nobody here is shown progress")
        return None
    used: float = min(max(asked, MIN_CHECK_INTERVAL), MAX_CHECK_INTERVAL)
    if used != asked:
        warnings.append(
            f"check_interval is {used:g} s: it must be {MIN_CHECK_INTERVAL:g} to {MAX_CHECK_INTERVAL:g}"
        )
    return used


def _advice(checked: danger.Checked, *, background: bool) -> list[str]:
    found = []
    if checked.detaches or checked.programs & {"nohup", "disown", "setsid"}:
        instead = "leave it out" if background else "use background=true instead"
        found.append(
            f"the command puts something into the background by itself (&, nohup, setsid); {instead}"
        )
    if checked.sleeps >= _LONG_SLEEP and not background:
        found.append(
            "do not wait with sleep: process(action='wait') returns when a process ends, and "
            "notify_on_complete tells you"
        )
    return found


def _warned(warnings: list[str]) -> Result:
    return {"warnings": warnings} if warnings else {}
