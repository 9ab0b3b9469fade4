"""The download port: ``GET`` and ``HEAD`` of ``/download/{file}`` with ranges, for who has a signed URL. Nothing else.

Files are immutable and named by their digest: aiohttp answers a stale ``If-Range`` with 206, which is harmless then.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import time
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from otter.pipe import url
from otter.pipe.htdocs import Htdocs

CONGESTION_CONTROL = (
    b"bbr"  # a long lossy link: with 1 % loss, measured 5 (16 connections) to 27 times (one) CUBIC's speed
)
_log = logging.getLogger(__name__)


def download_app(htdocs: Path, key: bytes) -> web.Application:
    """Serves the folder ``htdocs`` to who holds a URL signed with ``key``."""
    folder = Htdocs(htdocs)

    async def download(request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        query["sig"] = request.headers.get(url.SIGNATURE_HEADER, query.get("sig", ""))
        refusal = url.verify(request.path, query, time.time(), key)
        if refusal:
            return problem(403, refusal)
        path = folder.find(request.match_info["file"])
        if path is None:
            return problem(404, f"{request.match_info['file']} is not here (any more): the batch must be sent again")
        prefer_bbr(request)
        return web.FileResponse(path, chunk_size=1 << 20)

    app = web.Application()
    app.router.add_get(url.PREFIX + "{file}", download, allow_head=True)
    return app


def download_runner(app: web.Application) -> web.AppRunner:
    """How to run :func:`download_app`: with our access log, and without waiting long for clients when it ends."""
    return web.AppRunner(app, access_log_class=AccessLog, access_log=_log, shutdown_timeout=2.0)


class AccessLog(AbstractAccessLogger):
    """A line for each request; never the query, because the signature is in it."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Called by aiohttp when the answer is out; ``time`` in seconds."""
        words = (request.remote, request.query.get("nid", "?"), request.method, request.path, response.status)
        self.logger.info("%s nid=%s %s %s %s, %d bytes in %.3f s", *words, response.body_length, time)


def problem(status: int, detail: str) -> web.Response:
    """An error as ``application/problem+json``."""
    title = {403: "Forbidden", 404: "Not Found"}[status]
    body = {"status": status, "title": title, "detail": detail}
    return web.Response(status=status, text=json.dumps(body), content_type="application/problem+json")


def prefer_bbr(request: web.Request) -> None:
    """Asks the kernel for BBR on this connection; where it has none, the default stays."""
    connection = request.transport.get_extra_info("socket") if request.transport else None
    if connection is not None and hasattr(socket, "TCP_CONGESTION"):
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, CONGESTION_CONTROL)


def congestion_control(connection: Any) -> str:
    """The congestion control of a TCP socket (``bbr``, ``cubic``); "" where the kernel does not say."""
    try:
        name: bytes = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
    except (AttributeError, OSError):
        return ""
    return name.rstrip(b"\0").decode("ascii", "replace")
