"""The OpenAPI 3.1 description of the gateway, made from the same structs that the answers are made of."""

from __future__ import annotations

from typing import Any

import msgspec

from hermes_cli import __version__
from hermes_cli.serving.problems import CODES, Problem

from .api import Capabilities, GatewayStatus, Health
from .auth import OPEN_PATHS
from .events import GatewayEvent
from .openapi_parts import COMPONENTS, EVENT_STREAM, JSON, header, problem, query
from .process_api import ANSWERS, BODIES
from .process_openapi import ONE_OF, PROCESSES
from .requests import LARGEST
from .run_api import ANSWERS as RUN_ANSWERS
from .run_api import BODIES as RUN_BODIES
from .run_openapi import RUNS


def document() -> dict[str, Any]:
    """The description; imported and made only when somebody asks."""
    _, schemas = msgspec.json.schema_components(
        [
            *(Health, GatewayStatus, Capabilities, GatewayEvent, Problem),
            *(*BODIES, *ANSWERS, *RUN_BODIES, *RUN_ANSWERS),
        ],
        ref_template=COMPONENTS + "{name}",
    )
    schemas["Problem"]["properties"]["code"]["enum"] = sorted(CODES)
    for name, keys in ONE_OF.items():
        schemas[name]["oneOf"] = [_given(schemas[name], key) for key in keys]
    optional = {name for name, schema in schemas.items() if not schema.get("required") and name not in ONE_OF}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hermes gateway",
            "version": __version__,
            "description": "One profile's gateway. On its control socket the token is not needed.",
        },
        "paths": {
            "/healthz": {"get": _get("healthz", "Whether the process answers", "Health")},
            "/readyz": {"get": _get("readyz", "Whether it takes work", "Health", not_ready=True)},
            "/metrics": {"get": _text("metrics", "Numbers for Prometheus", "text/plain")},
            "/v1/status": {"get": _get("status", "What this gateway is and how it is", "GatewayStatus")},
            "/v1/capabilities": {"get": _get("capabilities", "What this gateway can do", "Capabilities")},
            "/v1/events": {"get": _events()},
            **PROCESSES.paths(_refused(), optional),
            **RUNS.paths(_refused(), optional),
            "/openapi.json": {"get": _text("openapi", "This description", JSON)},
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _given(schema: dict[str, Any], key: str) -> dict[str, Any]:
    """What fits where `key` has another value than null."""
    value = next(one for one in schema["properties"][key]["anyOf"] if one != {"type": "null"})
    return {"required": [key], "properties": {key: value}}


def _events() -> dict[str, Any]:
    operation = _text("events", "This gateway's own events as they happen", EVENT_STREAM)
    operation["description"] = (
        "Server-sent events `ready`, `degraded` and `draining`, each with a GatewayEvent as data and its "
        "`seq` as id; `reset` where the cursor belongs to another life of the gateway; at the drain "
        "`closed`, then the end."
    )
    cursor = {"type": "integer", "minimum": 0, "maximum": LARGEST}
    operation["parameters"] = [
        query("cursor", "The id of the last event seen", {**cursor, "default": 0}),
        header("Last-Event-ID", "As browsers send it: goes before `cursor`", cursor),
    ]
    operation["responses"]["400"] = problem("A cursor that is none")
    operation["responses"]["503"] = problem("The gateway is draining")
    return operation


def _get(name: str, summary: str, schema: str, *, not_ready: bool = False) -> dict[str, Any]:
    operation = _text(name, summary, JSON)
    content = {JSON: {"schema": {"$ref": COMPONENTS + schema}}}
    operation["responses"]["200"]["content"] = content
    if not_ready:
        operation["responses"]["503"] = {"description": "Starting or draining", "content": content}
    if f"/{name}" in OPEN_PATHS:
        operation["security"] = []
        del operation["responses"]["401"], operation["responses"]["403"]
    return operation


def _text(name: str, summary: str, media_type: str) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "responses": {
            "200": {"description": summary, "content": {media_type: {"schema": {}}}},
            **_refused(),
        },
    }


def _refused() -> dict[str, Any]:
    return {
        "401": problem("No token, or not this gateway's"),
        "403": problem("This gateway has no token and answers on its control socket only"),
    }
