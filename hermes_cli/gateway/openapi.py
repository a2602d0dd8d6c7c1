"""The OpenAPI 3.1 description of the gateway, made from the same structs that the answers are made of."""

from __future__ import annotations

from typing import Any

import msgspec

from hermes_cli import __version__
from hermes_cli.serving.problems import CODES, Problem

from .api import Capabilities, GatewayStatus, Health
from .auth import OPEN_PATHS
from .events import GatewayEvent
from .process_api import ANSWERS, BODIES
from .process_openapi import process_paths
from .run_api import ANSWERS as RUN_ANSWERS
from .run_api import BODIES as RUN_BODIES
from .run_openapi import run_paths

_COMPONENTS = "#/components/schemas/"


def document() -> dict[str, Any]:
    """The description; imported and made only when somebody asks."""
    _, schemas = msgspec.json.schema_components(
        [
            *(Health, GatewayStatus, Capabilities, GatewayEvent, Problem),
            *(*BODIES, *ANSWERS, *RUN_BODIES, *RUN_ANSWERS),
        ],
        ref_template=_COMPONENTS + "{name}",
    )
    schemas["Problem"]["properties"]["code"]["enum"] = sorted(CODES)
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
            **process_paths(_refused()),
            **run_paths(_refused()),
            "/openapi.json": {"get": _text("openapi", "This description", "application/json")},
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _events() -> dict[str, Any]:
    operation = _text("events", "This gateway's own events as they happen", "text/event-stream")
    operation["description"] = (
        "Server-sent events `ready`, `degraded` and `draining`, each with a GatewayEvent as data and its "
        "`seq` as id; `reset` where the cursor belongs to another life of the gateway; at the drain "
        "`closed`, then the end."
    )
    cursor = {"type": "integer", "minimum": 0, "default": 0}
    operation["parameters"] = [
        {"name": "cursor", "in": "query", "description": "The id of the last event seen", "schema": cursor},
        {"name": "Last-Event-ID", "in": "header", "description": "As browsers send it", "schema": cursor},
    ]
    operation["responses"]["400"] = _problem("A cursor that is none")
    operation["responses"]["503"] = _problem("The gateway is draining")
    return operation


def _get(name: str, summary: str, schema: str, *, not_ready: bool = False) -> dict[str, Any]:
    operation = _text(name, summary, "application/json")
    content = {"application/json": {"schema": {"$ref": _COMPONENTS + schema}}}
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
        "401": _problem("No token, or not this gateway's"),
        "403": _problem("This gateway has no token and answers on its control socket only"),
    }


def _problem(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": {"$ref": _COMPONENTS + "Problem"}}},
    }
