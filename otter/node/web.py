"""The node's communication port: reports, questions, files, and the links of load sides to this node's select sides."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from aiohttp import web

from otter.errors import Damaged, OtterError
from otter.model.stats import Check, NodeReport
from otter.node import inspect
from otter.node.bootstrap import socket_of
from otter.node.supervisor import Supervisor
from otter.pipe.htdocs import Htdocs
from otter.rpc.auth import Verifier
from otter.rpc.link import LinkClosed, WebSocketWire, open_unix, relay
from otter.rpc.messages import Examine, Examined, Reached, WaitFor

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def rpc_app(
    key: bytes,
    supervisor: Supervisor,
    *,
    report: Callable[[], NodeReport],
    folders: dict[str, Htdocs],
    sockets: Path,
    payload: int,
) -> web.Application:
    """``folders`` by name (``htdocs``, ``download``); ``payload`` is the largest message in bytes."""
    app = web.Application(middlewares=[Verifier(key).middleware(), _problems], client_max_size=payload)

    async def get_report(_: web.Request) -> web.Response:
        return _json(report())

    async def wait(request: web.Request) -> web.Response:
        timeout = float(request.query.get("timeout", "60"))
        answer = await supervisor.ask(("select", _pipeline(request)), WaitFor, timeout)
        assert isinstance(answer, Reached)  # noqa: S101 - a WaitFor is answered so
        return _json({"reached": answer.reached, "words": answer.words})

    async def doctor(request: web.Request) -> web.Response:
        checks: list[Check] = []
        for side in ("select", "load"):
            if any(r.side == side and r.pipeline_id == _pipeline(request) for r in supervisor.reports):
                answer = await supervisor.ask((side, _pipeline(request)), Examine, 20)
                assert isinstance(answer, Examined)  # noqa: S101
                checks += answer.checks
        return _json(checks)

    async def files(_: web.Request) -> web.Response:
        listings = [await asyncio.to_thread(folder.listing) for folder in folders.values()]
        return _json([view for listing in listings for view in listing])

    async def one_file(request: web.Request) -> web.Response:
        folder, name = request.match_info["folder"], request.match_info["name"]
        found = folders[folder].find(name) if folder in folders else None
        if found is None:
            raise web.HTTPNotFound(text=f"no batch file {name} in {folder}/ (it goes when its batch is acknowledged)")
        offset, limit = int(request.query.get("offset", "0")), int(request.query.get("limit", "100"))
        return _json(await asyncio.to_thread(inspect.describe, found, offset, min(limit, 1000)))

    async def link(request: web.Request) -> web.StreamResponse:
        side = await open_unix(socket_of(sockets, "select", _pipeline(request)))
        socket = web.WebSocketResponse(heartbeat=5.0, max_msg_size=payload + (64 << 20), compress=False)
        await socket.prepare(request)
        await relay(WebSocketWire(socket), side)
        return socket

    app.router.add_get("/rpc/v1/report", get_report)
    app.router.add_post("/rpc/v1/pipelines/{id:\\d+}/wait", wait)
    app.router.add_post("/rpc/v1/pipelines/{id:\\d+}/doctor", doctor)
    app.router.add_get("/rpc/v1/pipelines/{id:\\d+}/link", link)
    app.router.add_get("/rpc/v1/files", files)
    app.router.add_get("/rpc/v1/files/{folder}/{name}", one_file)
    return app


def _pipeline(request: web.Request) -> int:
    return int(request.match_info["id"])


def _json(body: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


def _problem(status: int, detail: str, hint: str = "") -> web.Response:
    body = {"status": status, "title": "refused", "detail": detail, "hint": hint}
    return web.Response(
        status=status, body=msgspec.json.encode(body), content_type="application/problem+json"
    )  # fmt: skip


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors in words, as problem+json."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _problem(error.status, error.text or error.reason)
    except (LinkClosed, OtterError) as error:
        return _problem(422 if isinstance(error, Damaged) else 503, error.message, error.hint)
    except ValueError as error:
        return _problem(400, str(error))
