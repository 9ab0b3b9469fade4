"""A route says what it takes and gives; aiohttp's handler and the OpenAPI document are both made of that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec
from aiohttp import web

from otter.manager.api import body
from otter.manager.api.guard import Guard
from otter.manager.desk import Desk
from otter.manager.refusal import Refusal
from otter.manager.store.accounts import Caller

PREFIX = "/api/v1"


class Access(Enum):
    """Who may call: anybody; whoever is logged in, even before the first password is set; or fully."""

    OPEN = "open"
    NEWCOMER = "newcomer"
    USER = "user"


@dataclass(frozen=True)
class Call:
    """One request, decoded. ``given``: names of the body's fields that were really there."""

    desk: Desk
    request: web.Request
    guard: Guard
    who: Caller
    params: dict[str, str]
    query: Any = None
    body: Any = None
    given: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Route:
    """``path`` is below the prefix. ``answer`` and ``body`` are types (None: no body); ``query`` a struct."""

    method: str
    path: str
    summary: str
    handler: Callable[[Call], Awaitable[Any]]
    answer: Any = None
    body: Any = None
    query: type[msgspec.Struct] | None = None
    status: int = 200
    access: Access = Access.USER
    errors: tuple[int, ...] = ()
    media: str = "application/json"

    @property
    def template(self) -> str:
        """The path as OpenAPI spells it."""
        return self.path.replace(":.+}", "}")


def serve(app: web.Application, routes: tuple[Route, ...], desk: Desk, guard: Guard) -> None:
    """Adds the routes to an aiohttp application."""
    for route in routes:
        app.router.add_route(route.method, PREFIX + route.path, handler(route, desk, guard))


def handler(route: Route, desk: Desk, guard: Guard) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        who = Caller("") if route.access is Access.OPEN else await guard.caller(request)
        if route.access is Access.USER:
            guard.refuse_newcomer(who)
        call = await _decoded(route, desk, guard, request, who)
        result = await route.handler(call)
        if isinstance(result, web.StreamResponse):
            return result
        return _encoded(route, result)

    return handle


async def _decoded(route: Route, desk: Desk, guard: Guard, request: web.Request, who: Caller) -> Call:
    query = body.convert(dict(request.query), route.query) if route.query else None
    decoded, given = None, frozenset[str]()
    if route.body is not None:
        if request.content_type != "application/json":  # also keeps forms of other sites out
            raise Refusal("the body must be JSON", "send Content-Type: application/json")
        data = await request.read()
        decoded = body.decode(data, route.body)
        given = frozenset(msgspec.json.decode(data, type=dict[str, msgspec.Raw]))
    return Call(desk, request, guard, who, dict(request.match_info), query, decoded, given)


def _encoded(route: Route, result: Any) -> web.Response:
    if route.answer is None:
        return web.Response(status=204)
    return web.Response(body=msgspec.json.encode(result), status=route.status, content_type="application/json")
