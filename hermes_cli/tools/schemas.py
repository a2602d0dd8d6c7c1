"""The tools as JSON Schema for function calling. The descriptions are what a model learns them from."""

from __future__ import annotations

from typing import Any

from .limits import MIN_CHECK_INTERVAL, OUTPUT_CAP

_TERMINAL = """Run a shell command.

Foreground (the default): you get output and exit code when the command has ended. It returns the moment \
the command ends, so a generous timeout costs nothing. Use it for everything that ends by itself soon: \
builds, tests, git, installs, scripts. At the timeout the command and all it started are killed.

Background (background=true): you get a session_id at once, and the command goes on, even across a \
restart of the gateway. Use it for servers, watchers, REPLs and whatever may take longer than the \
timeout. Then either
- set notify_on_complete=true and go on with other work: you are told once, when it ends. Right for long \
builds, test runs, downloads, trainings; or
- set watch_patterns=["Listening on", "ERROR"] for a process that does not end: you are told when a line \
of its output contains one. At most one notice in 15 s; for rare lines, not for progress. Not together \
with notify_on_complete; or
- look yourself: process(action="poll") for what is new, process(action="wait") to block until it ends.

Never wait with `sleep` or a loop around it: process(action="wait") returns within a tenth of a second \
of the end. Never put &, nohup, setsid or disown into a command: background=true does that, keeps the \
output and can stop it.

Each call is a new shell: `cd` and variables do not last, so give workdir or write `cd x && …`. Nobody \
can type into a foreground command: pass -y, --yes, --batch, -m. sudo works only where it needs no \
password. For a program that asks, start it with background=true, pty=true and answer with \
process(action="submit").

A command that may destroy something is not run; the result has status "approval_required". Tell the \
user what it would do and wait; do not rephrase it to slip through."""

_PROCESS = """Look at and control background processes started with terminal(background=true).

- list: all of them, running and lately finished.
- poll: new output since `cursor` (each answer has the next cursor), and whether it still runs. Answers \
at once. more=true means that there is more already: poll again.
- wait: block until it ends or `timeout` seconds have passed, whichever is first. Status "timeout" means \
it still runs; nothing is killed. Use this instead of sleeping between polls.
- log: lines of its output: the last `limit` lines, or `limit` lines from number `offset` (from 0).
- kill: end it and everything it started; says what was seen to end.
- write: send `data` to its stdin as it is, e.g. "\\u0003" for Ctrl-C in a pty. submit: the same, and \
Enter. Use submit to answer a prompt or run a line in a REPL, then poll for the reply.
- close: end of input (Ctrl-D). Programs that read until the end of input work only after it.

Where you set notify_on_complete you need neither poll nor wait: you will be told. End servers that you \
no longer need with kill."""


def schemas(longest: float, where: str | None = None) -> list[dict[str, Any]]:
    """The schemas of both tools: `name`, `description`, `parameters`.

    `longest`: seconds a call may block. `where`: the name of the environment that commands run in.
    """
    place = f"\n\nCommands run on {where}." if where == "this machine" else ""
    if where is not None and not place:
        place = f"\n\nCommands run in a place of their own, {where}; paths are those there."
    limit = f"{longest:g}"
    return [
        {
            "name": "terminal",
            "description": _TERMINAL + place,
            "parameters": _object(
                {
                    "command": _text("The line for the shell, as you would type it. Several lines are fine."),
                    "background": _flag(
                        "Return at once with a session_id and let it run on. For servers, watchers, and"
                        f" whatever may take longer than {limit} s."
                    ),
                    "timeout": {
                        "type": "number",
                        "minimum": 0,
                        "description": "Foreground only: seconds after which it is killed. Default and"
                        f" maximum {limit}; more is cut to that. For longer work use background=true.",
                    },
                    "workdir": _text("Directory to run in: absolute, ~, or relative to the workspace."),
                    "pty": _flag(
                        "Give it a terminal of its own: for programs that need one (REPLs, prompts,"
                        " progress bars, full-screen programs). Usually together with background=true."
                    ),
                    "notify_on_complete": _flag(
                        "Background only: tell me once, when it has ended, with exit code and the end of its"
                        " output. Best for anything long that ends by itself."
                    ),
                    "watch_patterns": {
                        "type": "array",
                        "items": {"type": "string"},
                        "description": "Background only: tell me when a line of output contains one of these"
                        " texts (case matters); 're:' before it makes it a regular expression. For rare lines"
                        " of long-running processes, as ['ready in', 'Traceback']. With notify_on_complete"
                        " they are ignored. Too many matches end the watching.",
                    },
                    "check_interval": {
                        "type": "number",
                        "minimum": MIN_CHECK_INTERVAL,
                        "description": "Every so many seconds the person you work for is shown the new"
                        " output, while this gateway runs. It tells you nothing: for that there is"
                        " notify_on_complete.",
                    },
                },
                ["command"],
            ),
        },
        {
            "name": "process",
            "description": _PROCESS,
            "parameters": _object(
                {
                    "action": {
                        "type": "string",
                        "enum": ["list", "poll", "log", "wait", "kill", "write", "submit", "close"],
                        "description": "What to do.",
                    },
                    "session_id": _text(
                        "Which process: the session_id that terminal gave, or its beginning (4 digits or"
                        " more). Not for list."
                    ),
                    "cursor": {
                        "type": "integer",
                        "minimum": 0,
                        "description": "poll: the cursor of the answer before; 0 for everything from the"
                        " beginning. Without it: the end of the output.",
                    },
                    "offset": {
                        "type": "integer",
                        "minimum": 0,
                        "description": "log: number of the first line, from 0. Without it: the last lines.",
                    },
                    "limit": {
                        "type": "integer",
                        "minimum": 1,
                        "description": "log: how many lines; 200 if not given."
                        f" {OUTPUT_CAP} characters at most.",
                    },
                    "timeout": {
                        "type": "number",
                        "minimum": 0,
                        "description": f"wait: seconds; {limit} if not given, and at most.",
                    },
                    "data": _text("write, submit: what to send."),
                },
                ["action"],
            ),
        },
    ]


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _flag(description: str) -> dict[str, Any]:
    return {"type": "boolean", "default": False, "description": description}
