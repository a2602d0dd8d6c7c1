"""The `process` tool: list, poll, log, wait, kill, write, submit and close background processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hermes_cli.processes.errors import ProcessError
from hermes_cli.processes.ids import resolve
from hermes_cli.processes.types import Listing

from . import arguments, danger
from .approvals import Approvals
from .arguments import Field
from .context import ToolContext
from .errors import ArgumentError
from .limits import OUTPUT_CAP, OUTPUT_HEAD
from .output import shorten
from .permission import permission
from .results import Result, failure, plain
from .verbs import ProcessVerbs

_ARGUMENTS = {
    "action": Field(arguments.word, ("command", "operation", "verb")),
    "session_id": Field(arguments.identifier, ("id", "process_id", "process", "session", "proc_id")),
    "cursor": Field(arguments.count),
    "offset": Field(arguments.count, ("start", "from_line")),
    "limit": Field(arguments.count, ("lines", "max_lines", "n", "tail")),
    "timeout": Field(arguments.seconds, ("timeout_seconds", "timeout_s")),
    "data": Field(arguments.text, ("input", "text", "stdin", "keys")),
}
_ALSO = {
    "status": "poll",
    "read": "poll",
    "logs": "log",
    "output": "log",
    "stop": "kill",
    "terminate": "kill",
    "end": "kill",
    "send": "write",
    "ps": "list",
    "eof": "close",
}
"""Other words that models use for an action."""
_LOG_LINES = 200

_Action = Callable[[Listing, Mapping[str, Any], ToolContext], Result]


class Process:
    """Controls the processes of a registry that belong to the caller."""

    def __init__(self, registry: ProcessVerbs, approvals: Approvals) -> None:
        self._registry = registry
        self._approvals = approvals
        self._actions: dict[str, _Action] = {
            "poll": self._poll,
            "log": self._log,
            "wait": self._wait,
            "kill": self._kill,
            "write": self._write,
            "submit": self._submit,
            "close": self._close,
        }

    def call(self, raw: object, context: ToolContext) -> Result:
        """Raises `ArgumentError`; what the process layer refuses is a result."""
        values, warnings = arguments.parse(raw, _ARGUMENTS)
        action = self._action(values)
        given = values.get("session_id") or None
        try:
            rows = self._registry.list(**_scope(context))
            if action == "list":
                result: Result = {"processes": [plain(row) for row in rows]}
            else:
                if given is None:
                    raise ArgumentError(f"session_id is missing: which process to {action}? {_known(rows)}")
                found = resolve(given, [row.session_id for row in rows])
                row = next(row for row in rows if row.session_id == found)
                given = found
                result = self._actions[action](row, values, context)
        except (ProcessError, OSError) as error:
            result = failure(error, session_id=given, tool="process")
        return result | ({"warnings": warnings} if warnings else {})

    def _action(self, values: Mapping[str, Any]) -> str:
        known = ["list", *self._actions]
        given = values.get("action")
        if given is None:
            raise ArgumentError(f"action is missing; it is one of {', '.join(known)}")
        action: str = _ALSO.get(given, given)
        if action in ("start", "run", "exec"):
            raise ArgumentError("processes are started with terminal(command=…, background=true)")
        if action not in known:
            raise ArgumentError(f"there is no action {given[:40]!r}; it is one of {', '.join(known)}")
        return action

    def _poll(self, row: Listing, values: Mapping[str, Any], _context: ToolContext) -> Result:
        return plain(self._registry.poll(row.session_id, cursor=values.get("cursor")))

    def _log(self, row: Listing, values: Mapping[str, Any], _context: ToolContext) -> Result:
        logged = self._registry.log(
            row.session_id, offset=values.get("offset"), limit=values.get("limit", _LOG_LINES)
        )
        result = plain(logged)
        if len(logged.output) > OUTPUT_CAP:
            result["output"], result["output_left_out_bytes"] = shorten(logged.output, row.session_id)
            result["message"] = f"more than {OUTPUT_CAP} characters; ask for fewer lines with limit"
        return result

    def _wait(self, row: Listing, values: Mapping[str, Any], context: ToolContext) -> Result:
        waited = self._registry.wait(
            row.session_id, timeout=values.get("timeout"), interrupted=context.interrupted
        )
        result = plain(waited)
        most = OUTPUT_CAP - OUTPUT_HEAD
        if len(waited.output) > most:
            result["output"] = f"[… only the end; action='log' shows all …]\n{waited.output[-most:]}"
        return result

    def _kill(self, row: Listing, _values: Mapping[str, Any], _context: ToolContext) -> Result:
        return plain(self._registry.kill(row.session_id))

    def _write(self, row: Listing, values: Mapping[str, Any], context: ToolContext) -> Result:
        data: str = values.get("data", "")
        if not data:
            raise ArgumentError("data is missing: what to write? submit without data presses Enter")
        return self._refused(row, data, context) or plain(self._registry.write(row.session_id, data.encode()))

    def _submit(self, row: Listing, values: Mapping[str, Any], context: ToolContext) -> Result:
        # A line break at the end is the Enter that submit presses anyway.
        data: str = values.get("data", "").removesuffix("\n").removesuffix("\r")
        return self._refused(row, data, context) or plain(self._registry.submit(row.session_id, data))

    def _close(self, row: Listing, _values: Mapping[str, Any], _context: ToolContext) -> Result:
        return plain(self._registry.close(row.session_id))

    def _refused(self, row: Listing, data: str, context: ToolContext) -> Result | None:
        """What is typed into a shell, an interpreter or a database client is looked at like a command."""
        if row.status != "running" or not data.strip():
            return None
        own = {finding.pattern_key for finding in danger.check(row.command).findings}
        checked = danger.check(row.command, stdin=data)
        new = tuple(finding for finding in checked.findings if finding.pattern_key not in own)
        typed = f"{data}\n(typed into {row.session_id}: {row.command})"
        only = danger.Checked(new, checked.programs, checked.detaches, checked.sleeps)
        return permission(self._approvals, context, typed, only)


def _scope(context: ToolContext) -> dict[str, str]:
    """Whose processes the caller may see: its session's, else its task's, else all."""
    owner = context.owner
    if owner.session_key is not None:
        return {"session_key": owner.session_key}
    return {"task_id": owner.task_id} if owner.task_id is not None else {}


def _known(rows: list[Listing]) -> str:
    running = [row.session_id for row in rows if row.status == "running"][-5:]
    return f"running: {', '.join(running)}" if running else "none is running"
