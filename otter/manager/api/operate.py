"""What is not an object: channel commands, status and events, apply and export, files of nodes, checks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, cast
from urllib.parse import quote

import msgspec
from aiohttp import web

from otter.errors import Retryable
from otter.manager import commands, doctor, document
from otter.manager.api.route import Access, Call, Route
from otter.manager.catalog import Kind
from otter.manager.changes import Action
from otter.manager.commands import Waited
from otter.manager.desk import Desk
from otter.manager.refusal import NotLoggedIn
from otter.manager.store.store import preview
from otter.model.config import DataSource, Document, Model, Node
from otter.model.stats import BatchFileView, ChannelView, Check, ClusterStatus


class WaitQuery(Model, frozen=True, kw_only=True):
    timeout: Annotated[float, msgspec.Meta(ge=0, le=86400)] = 60.0  # seconds


class ApplyQuery(Model, frozen=True, kw_only=True):
    dry_run: bool = False


class DoctorQuery(Model, frozen=True, kw_only=True):
    channel: str = ""


class PageQuery(Model, frozen=True, kw_only=True):
    """A page of a batch file's rows."""

    offset: Annotated[int, msgspec.Meta(ge=0)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 100


class Plan(Model, frozen=True, kw_only=True):
    actions: tuple[Action, ...]


class Health(Model, frozen=True, kw_only=True):
    status: str = "ok"


# -- channels ---------------------------------------------------------------------------------------------------------


def _command(command: Callable[[Desk, str], Coroutine[Any, Any, ChannelView]]) -> Callable[[Call], Any]:
    async def handle(call: Call) -> ChannelView:
        return await command(call.desk, call.params["name"])

    return handle


async def _wait(call: Call) -> Waited:
    return await commands.wait(call.desk, call.params["name"], call.query.timeout)


# -- status -----------------------------------------------------------------------------------------------------------


async def _status(call: Call) -> ClusterStatus:
    return await call.desk.status()


async def _events(call: Call) -> web.StreamResponse:
    """``event: status`` every second, until the caller, its session or the manager ends."""
    response = web.StreamResponse(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
    response.content_type = "text/event-stream"
    await response.prepare(call.request)
    with contextlib.suppress(ConnectionResetError, NotLoggedIn):
        while not call.desk.closing.is_set():
            try:
                await call.guard.caller(call.request)
                data = msgspec.json.encode(await call.desk.status())
                await response.write(b"event: status\ndata: " + data + b"\n\n")
            except Retryable:
                await response.write(b": the store does not answer\n\n")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await call.desk.closing.wait()
    return response


async def _health(_: Call) -> Health:
    return Health()


# -- documents --------------------------------------------------------------------------------------------------------


async def _apply(call: Call) -> Plan:
    old = await call.desk.catalog()

    def edit(catalog: Any) -> Any:
        nonlocal old
        old = catalog
        return document.applied(catalog, call.body, call.desk.vault)

    if call.query.dry_run:
        new = await asyncio.to_thread(preview, old, edit)
    else:
        new = await call.desk.edit(call.who.user, edit)
    return Plan(actions=tuple(document.plan(old, new, call.body)))


async def _export(call: Call) -> Document:
    return document.export(await call.desk.catalog())


# -- nodes and databases ----------------------------------------------------------------------------------------------


async def _node(call: Call) -> Node:
    return cast("Node", (await call.desk.catalog()).get(Kind.NODE, call.params["name"]))


async def _files(call: Call) -> tuple[BatchFileView, ...]:
    return await call.desk.peer(await _node(call)).get("/rpc/v1/files", tuple[BatchFileView, ...])


async def _file(call: Call) -> web.Response:
    """What ``otter inspect --json`` prints, as the node made it."""
    folder, file = (quote(call.params[name], safe="") for name in ("folder", "file"))
    path = f"/rpc/v1/files/{folder}/{file}?offset={call.query.offset}&limit={call.query.limit}"
    _, body = await call.desk.peer(await _node(call)).call("GET", path, timeout=30.0)
    return web.Response(body=body, content_type="application/json")


async def _test(call: Call) -> list[Check]:
    return await doctor.test_source(call.desk, call.body)


async def _doctor(call: Call) -> list[Check]:
    return await doctor.examine(call.desk, call.query.channel)


_FILES = "/nodes/{name}/files"

ROUTES: tuple[Route, ...] = (
    Route("POST", "/channels/{name}/start", "Start a channel", _command(commands.start), ChannelView,
          errors=(404, 409, 503)),
    Route("POST", "/channels/{name}/pause", "Pause a started channel", _command(commands.pause), ChannelView,
          errors=(404, 409, 503)),
    Route("POST", "/channels/{name}/stop", "Stop a channel", _command(commands.stop), ChannelView,
          errors=(404, 503)),
    Route("POST", "/channels/{name}/wait", "Wait until what the source has now is on the target", _wait, Waited,
          query=WaitQuery, errors=(404, 409, 503)),
    Route("GET", "/status", "Nodes, channels and pipelines as they are now", _status, ClusterStatus),
    Route("GET", "/events", "Server-sent events: `status` every second", _events, ClusterStatus,
          media="text/event-stream"),
    Route("POST", "/apply", "Create or change what a document describes; with dryRun only say so", _apply, Plan,
          Document, ApplyQuery, errors=(409,)),
    Route("GET", "/export", "Every object, passwords sealed", _export, Document),
    Route("POST", "/data-sources/test", "Connect to a data source and check what replication needs", _test,
          tuple[Check, ...], DataSource),
    Route("GET", "/doctor", "Check everything, or what one channel uses", _doctor, tuple[Check, ...],
          query=DoctorQuery, errors=(404,)),
    Route("GET", _FILES, "Batch files on a node", _files, tuple[BatchFileView, ...], errors=(404, 503)),
    Route("GET", _FILES + "/{folder}/{file}", "What a batch file holds", _file, dict[str, Any], query=PageQuery,
          errors=(404, 503)),
)  # fmt: skip

HEALTH = Route("GET", "/healthz", "Liveness", _health, Health, access=Access.OPEN)
