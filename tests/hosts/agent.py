"""A service manager for a program elsewhere: reads requests as JSON lines on stdin, answers on stdout.

Runs beside the init, in its container: `python3 tests/hosts/agent.py`, as the user whose services are meant.
remote.py is the other end.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hermes_cli.service_manager import (
    RestartPolicy,
    ServiceError,
    ServiceManager,
    ServiceSpec,
    get_service_manager,
)
from hermes_cli.service_manager.installed import differences


def plain(value: Any) -> Any:
    """`value` as JSON has it: data classes as objects, paths as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def specification(data: dict[str, Any]) -> ServiceSpec:
    policy = dict(data.pop("restart"))
    for name in ("backoff", "permanent_exit_codes"):
        policy[name] = tuple(policy[name])
    for name in ("working_directory", "stdout"):
        data[name] = Path(data[name]) if data[name] is not None else None
    return ServiceSpec(**{**data, "command": tuple(data["command"])}, restart=RestartPolicy(**policy))


class Agent:
    """One thread for each request, so that two verbs at once are two verbs at once."""

    def __init__(self) -> None:
        self._writing = threading.Lock()
        self._managers: dict[str, ServiceManager] = {}

    def serve(self) -> None:
        for line in sys.stdin:
            request = json.loads(line)
            threading.Thread(target=self._answer, args=(request,), daemon=True).start()

    def _answer(self, request: dict[str, Any]) -> None:
        try:
            value = self._do(request)
            answer = {"value": None if isinstance(value, Iterator) else plain(value)}
        except BaseException as error:
            self._say({"id": request["id"], "error": self._told(error)})
            return
        self._say({"id": request["id"], **answer})
        if isinstance(value, Iterator):
            self._stream(request["id"], value)

    def _do(self, request: dict[str, Any]) -> Any:
        own = getattr(self, f"do_{request['method']}", None)
        if own is not None:
            return own(request)
        arguments = dict(request["arguments"])
        if "spec" in arguments:
            arguments["spec"] = specification(arguments["spec"])
        return getattr(self._manager(request), request["method"])(**arguments)

    def do_logs(self, request: dict[str, Any]) -> Iterator[str] | list[str]:
        lines = self._manager(request).logs(**request["arguments"])
        return lines if request["arguments"]["follow"] else list(lines)

    def do_differences(self, request: dict[str, Any]) -> Any:
        manager = self._manager(request)
        return differences(manager.render(specification(dict(request["arguments"]["spec"]))))

    def do_alive(self, request: dict[str, Any]) -> bool:
        try:
            stat = Path(f"/proc/{request['arguments']['pid']}/stat").read_bytes()
        except OSError:
            return False
        return stat.rpartition(b")")[2].split()[0] not in (b"Z", b"X")

    def do_kill(self, request: dict[str, Any]) -> None:
        arguments = request["arguments"]
        try:
            os.kill(arguments["pid"], signal.Signals[f"SIG{arguments['signal']}"])
        except ProcessLookupError:
            return

    def do_exists(self, request: dict[str, Any]) -> bool:
        return os.path.lexists(request["arguments"]["path"])

    def do_append(self, request: dict[str, Any]) -> None:
        with Path(request["arguments"]["path"]).open("a") as file:
            file.write(request["arguments"]["text"])

    def _manager(self, request: dict[str, Any]) -> ServiceManager:
        options = request["manager"]
        key = json.dumps(options, sort_keys=True)
        if key not in self._managers:
            self._managers[key] = get_service_manager(**options)
        return self._managers[key]

    def _stream(self, number: int, lines: Iterator[str]) -> None:
        end: dict[str, Any] = {"ended": True}
        try:
            for line in lines:
                self._say({"id": number, "line": line})
        except BaseException as error:
            end["error"] = self._told(error)
        self._say({"id": number, **end})

    @staticmethod
    def _told(error: BaseException) -> dict[str, Any]:
        if isinstance(error, ServiceError | NotImplementedError):
            return {"type": type(error).__name__, "message": str(error), "fields": plain(vars(error))}
        import traceback

        return {"type": "", "message": "".join(traceback.format_exception(error)), "fields": {}}

    def _say(self, answer: dict[str, Any]) -> None:
        # base64: a name that is no UTF-8 travels as it is.
        text = base64.b64encode(json.dumps(answer).encode()).decode()
        with self._writing:
            print(text, flush=True)


if __name__ == "__main__":
    Agent().serve()
