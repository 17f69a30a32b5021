"""The description of the HTTP interface (OpenAPI 3.1), made of its routes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from starlette.routing import BaseRoute, Route

from dlmon import __version__
from dlmon.web.questions import PARAMETERS
from dlmon.web.security import CHANGES_NOTHING

_TEXT = {"type": "string"}
_BODIES: dict[str, dict[str, Any]] = {
    "/api/rejects/look": {"filters": {"type": "object"}},
    "/api/patch/try": {"group": _TEXT, "patch": _TEXT},
    "/api/patch/dry-run": {"group": _TEXT, "patch": _TEXT},
    "/api/actions/replay": {
        "digest": _TEXT,
        "group": _TEXT,
        "patch": _TEXT,
        "steps": {"type": "array", "items": {"type": ["integer", "null"], "minimum": 1}},
        "rate": {"type": "number", "exclusiveMinimum": 0},
    },
    "/api/actions/discard": {"digest": _TEXT, "group": _TEXT},
}
"""What is posted, by path; the members of each object."""

_QUESTIONS = re.compile(r"/api/(report|anomalies)(\.csv)?")
_PROBLEM = {
    "type": "object",
    "properties": {"error": _TEXT, "hint": _TEXT},
    "required": ["error", "hint"],
}


def describe(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """The description of all routes under /api."""
    paths: dict[str, Any] = {}
    for route in routes:
        if isinstance(route, Route) and route.path.startswith("/api/"):
            method = "post" if "POST" in (route.methods or ()) else "get"
            paths[route.path] = {method: _operation(route.path, method)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "dlmon serve", "version": __version__},
        "paths": paths,
    }


def _operation(path: str, method: str) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _TEXT}
        for name in re.findall(r"{(\w+)}", path)
    ]
    if _QUESTIONS.fullmatch(path):
        parameters += [
            {"name": name, "in": "query", "required": False, "schema": _TEXT} for name in PARAMETERS
        ]
    problem = {"description": "A problem.", "content": {"application/json": {"schema": _PROBLEM}}}
    operation: dict[str, Any] = {
        "parameters": parameters,
        "responses": {
            "200": {"description": "The answer."},
            "default": problem,
        },
    }
    if method == "post":
        if path not in CHANGES_NOTHING:
            operation["description"] = "Needs --allow-actions."
        schema = {"type": "object", "properties": _BODIES.get(path, {})}
        operation["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    return operation
