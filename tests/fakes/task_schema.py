"""The rules of the Task Scheduler schema (MS-TSCH 2.5), as far as the elements that Hermes writes go."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"

_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")

_BOOLEAN, _TEXT, _LENGTH, _PRIORITY = "boolean", "text", "duration", "priority"

_ANY_ORDER: dict[str, dict[str, object]] = {
    "Task": dict.fromkeys(("RegistrationInfo", "Triggers", "Settings", "Data", "Principals", "Actions")),
    "RegistrationInfo": dict.fromkeys(("URI", "Author", "Version", "Description", "Date", "Source"), _TEXT),
    "Principal": {
        "UserId": _TEXT,
        "LogonType": ("InteractiveToken", "S4U", "Password"),
        "GroupId": _TEXT,
        "DisplayName": _TEXT,
        "RunLevel": ("LeastPrivilege", "HighestAvailable"),
    },
    "Settings": {
        **dict.fromkeys(
            (
                "AllowStartOnDemand",
                "DisallowStartIfOnBatteries",
                "StopIfGoingOnBatteries",
                "AllowHardTerminate",
                "StartWhenAvailable",
                "RunOnlyIfNetworkAvailable",
                "WakeToRun",
                "Enabled",
                "Hidden",
                "RunOnlyIfIdle",
            ),
            _BOOLEAN,
        ),
        "MultipleInstancesPolicy": ("Parallel", "Queue", "IgnoreNew", "StopExisting"),
        "ExecutionTimeLimit": _LENGTH,
        "Priority": _PRIORITY,
        "RestartOnFailure": None,
    },
    "RestartOnFailure": {"Interval": _LENGTH, "Count": _TEXT},
}
"""xs:all: each at most once, in any order."""

_IN_ORDER: dict[str, dict[str, object]] = {
    "Triggers": {"LogonTrigger": None},
    "LogonTrigger": {
        "Enabled": _BOOLEAN,
        "StartBoundary": _TEXT,
        "EndBoundary": _TEXT,
        "ExecutionTimeLimit": _LENGTH,
        "UserId": _TEXT,
        "Delay": _LENGTH,
    },
    "Principals": {"Principal": None},
    "Actions": {"Exec": None},
    "Exec": {"Command": _TEXT, "Arguments": _TEXT, "WorkingDirectory": _TEXT},
}
"""xs:sequence: in this order."""

_REQUIRED = {
    "Task": ("Actions",),
    "Exec": ("Command",),
    "Actions": ("Exec",),
    "RestartOnFailure": ("Interval", "Count"),
    "Principals": ("Principal",),
}


class MalformedTask(Exception):
    """The Task Scheduler would refuse it."""


def read_task(data: bytes) -> dict[str, Any]:
    """What a task's file says; raises `MalformedTask` where the schema, or schtasks, refuses it."""
    if not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise MalformedTask("the file is not UTF-16 with its mark")
    text = data.decode("utf-16")
    if not text.startswith("<?xml") or 'encoding="UTF-16"' not in text.splitlines()[0]:
        raise MalformedTask("unable to switch the encoding")
    return task_of(text)


def task_of(text: str) -> dict[str, Any]:
    """The same of text that is decoded already."""
    try:
        root = ElementTree.fromstring(re.sub(r"^<\?xml.*\?>", "", text))
    except ElementTree.ParseError as error:
        raise MalformedTask(str(error)) from error
    if root.tag != f"{{{NAMESPACE}}}Task":
        raise MalformedTask(f"unexpected root {root.tag}")
    _check(root)
    names = {"t": NAMESPACE}
    context = root.find("t:Actions", names)
    principal = root.find("t:Principals/t:Principal", names)
    named = context.get("Context") if context is not None else None
    if named is not None and (principal is None or principal.get("id") != named):
        raise MalformedTask("Context names no principal")

    def text_of(path: str) -> str:
        return root.findtext(path, "", names)

    trigger = root.find("t:Triggers/t:LogonTrigger", names)
    if trigger is not None and trigger.find("t:UserId", names) is None:
        raise MalformedTask("a logon trigger of everybody takes an administrator")
    restart = text_of("t:Settings/t:RestartOnFailure/t:Interval")
    return {
        "command": text_of("t:Actions/t:Exec/t:Command"),
        "arguments": text_of("t:Actions/t:Exec/t:Arguments"),
        "directory": text_of("t:Actions/t:Exec/t:WorkingDirectory"),
        "delay": None if trigger is None else seconds(trigger.findtext("t:Delay", "PT0S", names)),
        "interval": seconds(restart) if restart else None,
        "count": int(text_of("t:Settings/t:RestartOnFailure/t:Count") or 0),
    }


def seconds(duration: str) -> float:
    """Of an xs:duration without years and months."""
    found = _DURATION.fullmatch(duration)
    if not found or not any(found.groups()):
        raise MalformedTask(f"{duration!r} is no duration")
    days, hours, minutes, rest = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + rest)


def _check(element: ElementTree.Element) -> None:
    name = _local(element)
    ordered = name in _IN_ORDER
    allowed = _IN_ORDER.get(name) or _ANY_ORDER.get(name) or {}
    children = [_local(child) for child in element]
    for child in children:
        if child not in allowed:
            raise MalformedTask(f"{name} holds an unexpected node {child}")
    if len(set(children)) < len(children):
        raise MalformedTask(f"{name} holds a node twice")
    if ordered and children != [one for one in allowed if one in children]:
        raise MalformedTask(f"{name}: {children} are not in order")
    for required in _REQUIRED.get(name, ()):
        if required not in children:
            raise MalformedTask(f"{name} needs {required}")
    for node in element:
        _check_value(_local(node), node.text or "", allowed[_local(node)], bool(len(node)))
        if allowed[_local(node)] is None:
            _check(node)
    if name == "RestartOnFailure":
        interval = seconds(element.findtext(f"{{{NAMESPACE}}}Interval", ""))
        if not 60 <= interval <= 31 * 86400:
            raise MalformedTask("Interval is between a minute and 31 days")
        if not 1 <= int(element.findtext(f"{{{NAMESPACE}}}Count", "0")) <= 255:
            raise MalformedTask("Count is between 1 and 255")


def _check_value(name: str, text: str, rule: object, nested: bool) -> None:
    if rule is None:
        return
    if nested:
        raise MalformedTask(f"{name} holds nodes")
    if rule == _BOOLEAN and text not in ("true", "false"):
        raise MalformedTask(f"{name} is true or false, not {text!r}")
    if rule == _LENGTH:
        seconds(text)
    if rule == _PRIORITY and not 0 <= int(text) <= 10:
        raise MalformedTask("Priority is between 0 and 10")
    if isinstance(rule, tuple) and text not in rule:
        raise MalformedTask(f"{name} is one of {rule}, not {text!r}")
    if rule == _TEXT and name in ("Command", "UserId") and not text:
        raise MalformedTask(f"{name} is empty")


def _local(element: ElementTree.Element) -> str:
    namespace, _, name = element.tag[1:].partition("}")
    if namespace != NAMESPACE:
        raise MalformedTask(f"{element.tag} is of another namespace")
    return name
