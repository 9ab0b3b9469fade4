"""What nodes ask on the communication port (1099): their configuration, and to take their report."""

from __future__ import annotations

import msgspec
from aiohttp import web

from otter.manager.api.problem import problems
from otter.manager.config import config_of
from otter.manager.desk import Desk
from otter.manager.refusal import Refusal
from otter.model.stats import NodeReport
from otter.rpc.auth import Verifier

#: The longest that a long poll may wait, seconds.
LONGEST = 60.0


def rpc_app(desk: Desk, key: bytes, payload: int = 8 << 20) -> web.Application:
    """Every request is signed with the cluster key; a report may carry many sides."""
    app = web.Application(middlewares=[Verifier(key).middleware(), problems], client_max_size=payload)
    answers = _Answers(desk)
    app.router.add_get("/rpc/v1/nodes/{nid:[0-9]+}/config", answers.config)
    app.router.add_post("/rpc/v1/nodes/{nid:[0-9]+}/report", answers.report)
    return app


class _Answers:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def config(self, request: web.Request) -> web.Response:
        """The node's config when it is another than ``version``; else waits up to ``wait`` seconds, then 304.

        One that is older than the node's own is news too: the store was made anew."""
        nid = int(request.match_info["nid"])
        version, wait = _number(request, "version"), min(_number(request, "wait"), LONGEST)
        config = config_of(await self._desk.catalog(), nid)  # 404 at once, however new
        if config.version == version:
            catalog = await self._desk.newer_than(int(version), wait)
            if catalog is None:
                return web.Response(status=304)
            config = config_of(catalog, nid)
        return web.Response(body=msgspec.json.encode(config), content_type="application/json")

    async def report(self, request: web.Request) -> web.Response:
        report = msgspec.json.decode(await request.read(), type=NodeReport)
        if report.nid != int(request.match_info["nid"]):
            raise Refusal(f"the report of nid {report.nid} came as nid {request.match_info['nid']}")
        self._desk.reports.take(report)
        return web.Response(status=204)


def _number(request: web.Request, name: str) -> float:
    try:
        return max(0.0, float(request.query.get(name, "0")))
    except ValueError:
        raise Refusal(f"{name} must be a number", field=name) from None
