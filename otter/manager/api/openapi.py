"""The OpenAPI 3.1 document, made of the routes and of msgspec's schemas."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from otter.manager.api.guard import COOKIE, CSRF_HEADER
from otter.manager.api.problem import TYPE, Problem
from otter.manager.api.route import PREFIX, Access, Route

_WORDS = {
    400: "Not valid: `field` says what",
    401: "Not logged in",
    403: "Not allowed",
    404: "Not found",
    409: "In conflict with what is there",
    429: "Too many attempts",
    500: "The manager made a mistake",
    503: "Something that is needed does not answer",
}
_PARAMETER = re.compile(r"\{(\w+)\}")


def document(routes: tuple[Route, ...], version: str) -> dict[str, Any]:
    """``version`` is the software's. Every route is in it, with each of its errors."""
    types = [type_ for route in routes for type_ in (route.answer, route.body) if type_ is not None]
    schemas, components = msgspec.json.schema_components([*types, Problem], ref_template="#/components/schemas/{name}")
    by_type = {str(type_): schema for type_, schema in zip([*types, Problem], schemas, strict=True)}
    paths: dict[str, Any] = {}
    for route in routes:
        path = route.template if route.access is Access.OPEN and route.path == "/healthz" else PREFIX + route.template
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, by_type)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Otter manager", "version": version},
        "servers": [{"url": "../.."}],  # relative to where this document is: any host, port and path
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _security_schemes()},
    }


def _security_schemes() -> dict[str, Any]:
    return {
        "token": {"type": "http", "scheme": "bearer", "description": "conf/admin.token of the manager's home"},
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
        "csrf": {"type": "apiKey", "in": "header", "name": CSRF_HEADER, "description": "with a session, on writes"},
    }


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": _responses(route, schemas),
        "security": _security(route),
    }
    if route.body is not None:
        content = {"application/json": {"schema": schemas[str(route.body)]}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _operation_id(route: Route) -> str:
    words = re.findall(r"\w+", route.template)
    return "_".join([route.method.lower(), *words])


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(route.template)
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    (_,), components = msgspec.json.schema_components([route.query])
    properties = components[route.query.__name__]["properties"]
    return [{"name": name, "in": "query", "schema": schema} for name, schema in properties.items()]


def _responses(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    problem = {TYPE: {"schema": schemas[str(Problem)]}}
    errors = {*route.errors, 500, *({400} if route.body or route.query else set())}
    errors |= {401, 403} if route.access is not Access.OPEN else set()
    responses = {str(status): {"description": _WORDS[status], "content": problem} for status in sorted(errors)}
    if route.answer is None:
        return {"204": {"description": "Done"}, **responses}
    content = {route.media: {"schema": schemas[str(route.answer)]}}
    return {str(route.status): {"description": route.summary, "content": content}, **responses}


def _security(route: Route) -> list[dict[str, list[str]]]:
    if route.access is Access.OPEN:
        return []
    writes = route.method not in ("GET", "HEAD")
    return [{"token": []}, {"session": [], "csrf": []} if writes else {"session": []}]
