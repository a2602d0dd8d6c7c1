"""What every part of the OpenAPI description is made of: verbs, their parameters and their answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

COMPONENTS = "#/components/schemas/"

JSON = "application/json"
EVENT_STREAM = "text/event-stream"

TEXT: Mapping[str, Any] = {"type": "string"}
SECONDS: Mapping[str, Any] = {"type": "number", "minimum": 0}

Parameter = dict[str, Any]
Operation = dict[str, Any]

_PLACEHOLDER = re.compile(r"{(\w+)}")


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing that can be asked for."""

    summary: str
    answer: str = ""
    """The schema of what is answered; empty where it is no JSON."""
    body: str = ""
    """The schema of what is sent; empty where nothing is."""
    refusals: tuple[str, ...] = ()
    """Statuses beside those that all verbs of its part may answer."""
    parameters: tuple[Parameter, ...] = ()
    description: str = ""
    statuses: tuple[str, ...] = ("200",)
    media_types: tuple[str, ...] = (JSON,)
    leads_to: Mapping[str, str] | None = None
    """Placeholder of a path to the field of the answer that it takes."""


@dataclass(frozen=True, slots=True)
class Part:
    """Paths that belong together. Order is that of `routes`: method, path, verb."""

    routes: tuple[tuple[str, str, str], ...]
    verbs: Mapping[str, Verb]
    placeholders: Mapping[str, Parameter]
    why: Mapping[str, str]
    """Status to what it says here."""
    noun: str = ""
    """Goes before operation ids that are without it: they are one name space."""

    def paths(self, common: Mapping[str, Any], optional: Iterable[str]) -> dict[str, dict[str, Operation]]:
        """Path to method to operation.

        `common`: answers that every operation may give. `optional`: schemas of which an empty body is one.
        """
        found: dict[str, dict[str, Operation]] = {}
        for method, path, name in self.routes:
            found.setdefault(path, {})[method.lower()] = self._operation(name, path, common, optional)
        return found

    def _operation(
        self, name: str, path: str, common: Mapping[str, Any], optional: Iterable[str]
    ) -> Operation:
        verb = self.verbs[name]
        content: dict[str, Any] = {media_type: {"schema": {}} for media_type in verb.media_types}
        if verb.answer:
            content[JSON]["schema"] = {"$ref": COMPONENTS + verb.answer}
        good = {"description": verb.summary, "content": content}
        if verb.leads_to:
            good["links"] = self._links(verb.leads_to)
        refusals = {*verb.refusals, *(("413",) if verb.body else ())}
        operation: Operation = {
            "operationId": self._id(name),
            "summary": verb.summary,
            "responses": {
                **dict.fromkeys(verb.statuses, good),
                **common,
                **{status: problem(self.why[status]) for status in sorted(refusals)},
            },
        }
        if verb.description:
            operation["description"] = verb.description
        taken = [self.placeholders[one] for one in _PLACEHOLDER.findall(path)]
        if taken or verb.parameters:
            operation["parameters"] = [*taken, *verb.parameters]
        if verb.body:
            operation["requestBody"] = {
                "required": verb.body not in optional,
                "content": {JSON: {"schema": {"$ref": COMPONENTS + verb.body}}},
            }
        return operation

    def _links(self, leads_to: Mapping[str, str]) -> dict[str, Any]:
        return {
            self._id(name): {
                "operationId": self._id(name),
                "parameters": {taken: f"$response.body#/{leads_to[taken]}"},
            }
            for _, path, name in self.routes
            for taken in _PLACEHOLDER.findall(path)[:1]
            if taken in leads_to
        }

    def _id(self, name: str) -> str:
        return name if self.noun in name else f"{self.noun}_{name}"


def query(name: str, description: str, schema: Mapping[str, Any]) -> Parameter:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def header(name: str, description: str, schema: Mapping[str, Any]) -> Parameter:
    return {"name": name, "in": "header", "description": description, "schema": schema}


def placeholder(name: str, description: str) -> Parameter:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": TEXT}


def limit(what: str, most: int, default: int = 100) -> Parameter:
    schema = {"type": "integer", "minimum": 1, "default": default}
    return query("limit", f"{what}, {most:,} at most", schema)


def problem(description: str) -> dict[str, Any]:
    """An answer that is a problem."""
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": {"$ref": COMPONENTS + "Problem"}}},
    }
