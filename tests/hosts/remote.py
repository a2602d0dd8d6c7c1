"""A service manager in a container, spoken to through an agent there. Its errors are the library's own."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import subprocess
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from hermes_cli import service_manager
from hermes_cli.service_manager import RenderedFile, ServiceManagerKind, ServiceSpec, ServiceStatus
from hermes_cli.service_manager.installed import Difference

AGENT = Path(__file__).with_name("agent.py")

ANSWER_WITHIN = 90.0
"""Seconds for any verb: more than its own deadline, which is what a test is about."""


class AgentError(Exception):
    """The agent failed in a way that the library has no type for, or is gone."""


class Agent:
    """A process that answers requests for as long as its container runs."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._lock = threading.Lock()
        self._count = 0
        self._waiting: dict[int, Queue[dict[str, Any]]] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def call(self, method: str, arguments: dict[str, Any], manager: dict[str, Any]) -> Any:
        number, answers = self.send(method, arguments, manager)
        try:
            return self.take(answers, ANSWER_WITHIN)["value"]
        finally:
            self.forget(number)

    def send(
        self, method: str, arguments: dict[str, Any], manager: dict[str, Any]
    ) -> tuple[int, Queue[dict[str, Any]]]:
        answers: Queue[dict[str, Any]] = Queue()
        with self._lock:
            self._count += 1
            number = self._count
            self._waiting[number] = answers
            request = {"id": number, "method": method, "arguments": arguments, "manager": manager}
            stdin = self._process.stdin
            assert stdin is not None
            try:
                stdin.write(json.dumps(request) + "\n")
                stdin.flush()
            except (BrokenPipeError, ValueError) as error:
                raise AgentError(f"the agent is gone ({self._process.poll()})") from error
        return number, answers

    def take(self, answers: Queue[dict[str, Any]], timeout: float | None) -> dict[str, Any]:
        """The next answer; raises what it says was raised."""
        try:
            answer = answers.get(timeout=timeout)
        except Empty:
            raise AgentError(f"no answer within {timeout:g} s") from None
        if "error" in answer:
            raise _raised(answer["error"])
        return answer

    def forget(self, number: int) -> None:
        self._waiting.pop(number, None)

    def close(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._reader.join(5)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(base64.b64decode(line))
            answers = self._waiting.get(answer["id"])
            if answers is not None:
                answers.put(answer)
        for answers in list(self._waiting.values()):
            answers.put({"error": {"type": "", "message": "the agent ended", "fields": {}}})


def _raised(told: dict[str, Any]) -> Exception:
    """The error of that type, as if it had been raised here."""
    kind = getattr(service_manager, told["type"], None) if told["type"] else None
    if told["type"] == "NotImplementedError":
        return NotImplementedError(told["message"])
    if kind is None:
        return AgentError(told["message"])
    error: Exception = kind.__new__(kind)
    Exception.__init__(error, told["message"])
    for name, value in told["fields"].items():
        setattr(error, name, tuple(value) if isinstance(value, list) else value)
    return error


class RemoteServiceManager:
    """The ServiceManager that `get_service_manager(**options)` gives in the agent's container."""

    def __init__(self, agent: Agent, **options: Any) -> None:
        self._agent = agent
        self._options = options

    def _call(self, method: str, **arguments: Any) -> Any:
        return self._agent.call(method, arguments, self._options)

    @property
    def kind(self) -> ServiceManagerKind:
        kind: ServiceManagerKind = self._options["kind"]
        return kind

    def start(self, name: str) -> None:
        self._call("start", name=name)

    def stop(self, name: str) -> None:
        self._call("stop", name=name)

    def restart(self, name: str) -> None:
        self._call("restart", name=name)

    def is_running(self, name: str) -> bool:
        return bool(self._call("is_running", name=name))

    def status(self, name: str) -> ServiceStatus:
        return ServiceStatus(**self._call("status", name=name))

    def status_all(self, names: Iterable[str] | None = None) -> dict[str, ServiceStatus]:
        asked = None if names is None else list(names)
        return {
            name: ServiceStatus(**status) for name, status in self._call("status_all", names=asked).items()
        }

    def logs(self, name: str, *, lines: int = 100, follow: bool = False) -> Iterator[str]:
        arguments = {"name": name, "lines": lines, "follow": follow}
        number, answers = self._agent.send("logs", arguments, self._options)
        first = self._agent.take(answers, ANSWER_WITHIN)
        if not follow:
            self._agent.forget(number)
            return iter(first["value"])
        return self._followed(number, answers)

    def _followed(self, number: int, answers: Queue[dict[str, Any]]) -> Iterator[str]:
        try:
            while "ended" not in (answer := self._agent.take(answers, None)):
                yield answer["line"]
        finally:
            self._agent.forget(number)

    def install(self, spec: ServiceSpec, *, force: bool = False) -> None:
        self._call("install", spec=_told(spec), force=force)

    def uninstall(self, name: str) -> None:
        self._call("uninstall", name=name)

    def render(self, spec: ServiceSpec) -> list[RenderedFile]:
        found = self._call("render", spec=_told(spec))
        return [RenderedFile(**{**file, "path": Path(file["path"])}) for file in found]

    def differences(self, spec: ServiceSpec) -> list[Difference]:
        """Where the files there differ from what `install` would write."""
        found = self._call("differences", spec=_told(spec))
        return [Difference(**{**one, "path": Path(one["path"])}) for one in found]

    def supports_runtime_registration(self) -> bool:
        return bool(self._call("supports_runtime_registration"))

    def register_profile_gateway(
        self, profile: str, *, extra_env: dict[str, str] | None = None, start_now: bool = False
    ) -> None:
        self._call("register_profile_gateway", profile=profile, extra_env=extra_env, start_now=start_now)

    def unregister_profile_gateway(self, profile: str) -> None:
        self._call("unregister_profile_gateway", profile=profile)

    def list_profile_gateways(self) -> list[str]:
        return list(self._call("list_profile_gateways"))


def _told(spec: ServiceSpec) -> dict[str, Any]:
    return {
        **{field.name: getattr(spec, field.name) for field in dataclasses.fields(spec)},
        "environment": dict(spec.environment),
        "working_directory": str(spec.working_directory) if spec.working_directory else None,
        "stdout": str(spec.stdout) if spec.stdout else None,
        "restart": dataclasses.asdict(spec.restart),
    }
