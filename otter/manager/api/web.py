"""The web application on ``otter.port``: the API below ``/api/v1``, the console on ``/``."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

import otter
from otter.manager.api import objects, operate, session
from otter.manager.api.files import add_files, add_headers
from otter.manager.api.guard import Guard
from otter.manager.api.openapi import document
from otter.manager.api.problem import problems
from otter.manager.api.route import PREFIX, Access, Call, Route, handler, serve
from otter.manager.desk import Desk

#: The largest body, bytes: a document of thousands of pairs.
LARGEST = 16 << 20


async def _openapi(_: Call) -> web.Response:
    return web.Response(body=_DOCUMENT, content_type="application/json")


_OPENAPI = Route("GET", "/openapi.json", "This document", _openapi, dict[str, Any], access=Access.OPEN)
#: More particular paths first: aiohttp takes the first that fits.
ROUTES: tuple[Route, ...] = (*session.ROUTES, *operate.ROUTES, *objects.ROUTES, _OPENAPI)
_DOCUMENT = msgspec.json.encode(document((*ROUTES, operate.HEALTH), otter.__version__))


def web_app(desk: Desk) -> web.Application:
    app = web.Application(middlewares=[problems], client_max_size=LARGEST)
    app.on_response_prepare.append(add_headers)
    guard = Guard(desk.accounts)
    serve(app, ROUTES, desk, guard)
    app.router.add_get("/healthz", handler(operate.HEALTH, desk, guard))
    app.router.add_route("*", PREFIX + "/{path:.*}", _nothing_here)
    add_files(app)
    return app


async def _nothing_here(_: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound
