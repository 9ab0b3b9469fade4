"""Channel commands over a real ZooKeeper; a node is stood in for by its RPC port."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bench.servers import Mariadb, Zookeeper, free_port
from otter.manager import catalog as c
from otter.manager.api.web import web_app
from otter.manager.commands import Waited
from otter.manager.desk import Desk
from otter.manager.store.engine import migrate, open_engine, url_of
from otter.model.config import ChannelStatus, DataSource, Node, Pair, ZooKeeperCluster
from otter.model.process import Mainstem
from otter.model.stats import BatchFileView, Check, NodeReport, State
from otter.rpc.auth import Verifier
from otter.zk import paths
from otter.zk.session import Session
from tests.manager.conftest import KEY, PASSWORD, Browser, make_settings
from tests.manager.objects import A2B, HANGZHOU, SHOP, US_WEST


class NodePort:
    """The communication port of a node: signed requests in, and answers as a real node gives them."""

    def __init__(self) -> None:
        self.waits: asyncio.Queue[int] = asyncio.Queue()
        self.answer: Callable[[], Awaitable[web.Response]] = self.reached
        self.app = web.Application(middlewares=[Verifier(KEY).middleware()])
        self.app.router.add_post("/rpc/v1/pipelines/{id}/wait", self._wait)
        self.app.router.add_post("/rpc/v1/pipelines/{id}/doctor", self._doctor)
        self.app.router.add_get("/rpc/v1/report", self._report)
        self.app.router.add_get("/rpc/v1/files", self._files)
        self.app.router.add_get("/rpc/v1/files/{folder}/{file}", self._file)

    async def reached(self) -> web.Response:
        return web.json_response({"reached": True, "words": "at 0-1-42"})

    async def _wait(self, request: web.Request) -> web.Response:
        await self.waits.put(int(request.match_info["id"]))
        return await self.answer()

    async def _doctor(self, _: web.Request) -> web.Response:
        return _json([Check(subject="data source hangzhou", name="binlog_format", ok=True, words="ROW")])

    async def _report(self, _: web.Request) -> web.Response:
        return _json(NodeReport(nid=1, config_version=1, version="9.9", started=0.0, at=0.0))

    async def _files(self, _: web.Request) -> web.Response:
        return _json([BatchFileView(folder="htdocs", name="a b.otter", size=5, at=1.0)])

    async def _file(self, request: web.Request) -> web.Response:
        if request.match_info["file"] != "a b.otter":
            return web.json_response({"detail": "no such file", "hint": "look again"}, status=404)
        return web.json_response({"rows": 3, **request.query})


def _json(body: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


@pytest.fixture
async def node() -> AsyncIterator[tuple[NodePort, int]]:
    port = NodePort()
    async with TestServer(port.app) as server:
        yield port, int(server.port or 0)


@pytest.fixture
async def session(zookeeper: Zookeeper) -> AsyncIterator[Session]:
    async with Session((zookeeper.address,), 10.0) as session:
        await session.delete("/otter", recursive=True)  # other tests' managers gave out the same ids
        yield session
        await session.delete("/otter", recursive=True)


@pytest.fixture
async def desk(
    tmp_path: Path, zookeeper: Zookeeper, session: Session, node: tuple[NodePort, int]
) -> AsyncIterator[Desk]:
    """Two nodes in one ZooKeeper, a channel from n1 to n2."""
    engine = open_engine(url_of(make_settings(tmp_path)))
    migrate(engine)
    items = (
        ZooKeeperCluster(name="zk", servers=(zookeeper.address,)),
        Node(name="n1", ip="127.0.0.1", port=node[1], download_port=node[1] - 1, zookeeper="zk"),
        Node(name="n2", ip="127.0.0.1", port=1, download_port=2, zookeeper="zk"),
        HANGZHOU, US_WEST, SHOP,
    )  # fmt: skip
    async with Desk(engine, KEY, session_timeout=10.0, zookeeper_deadline=1.0).open() as desk:
        for item in items:
            await desk.edit("admin", lambda old, item=item: c.create(old, item))
        async with asyncio.timeout(20):
            while desk.zookeepers.words() != {"zk": ""}:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.05)
        yield desk
    engine.dispose()


@pytest.fixture
async def api(desk: Desk) -> AsyncIterator[Browser]:
    desk.accounts.create("admin", PASSWORD, must_change=False)
    async with TestClient(TestServer(web_app(desk))) as client:
        yield Browser(client, {"Authorization": f"Bearer {desk.accounts.create_token('admin', 'test')}"})
        await desk.close_answers()


async def test_start_pause_and_stop_are_in_zookeeper(api: Browser, session: Session) -> None:
    async def stored() -> bytes:
        found = await session.get(paths.channel(1))
        return found[0] if found else b""

    assert "only a started channel" in (await api.post("/channels/shop/pause", None, 409)).hint
    view = await api.post("/channels/shop/start")
    assert (view.status, await stored()) == (ChannelStatus.START, b"START")
    assert await session.get(paths.pipeline(1, 1)) is not None
    assert view.pipelines[0].words == "held up: no select node alive (n1 未启动)"
    assert (await api.post("/channels/shop/pause")).status is ChannelStatus.PAUSE
    assert await stored() == b"PAUSE"
    view = await api.post("/channels/shop/stop")
    assert (view.status, view.pipelines[0].state, await stored()) == (ChannelStatus.STOP, State.STOPPED, b"STOP")


async def test_an_incomplete_channel_does_not_start(api: Browser) -> None:
    await api.call("DELETE", "/channels/shop/pipelines/a2b/pairs/shop.orders", status=204)
    await api.call("DELETE", "/channels/shop/pipelines/a2b/pairs/shop.lines", status=204)
    assert "maps no table" in (await api.post("/channels/shop/start", None, 409)).detail
    await api.call("DELETE", "/channels/shop/pipelines/a2b", status=204)
    assert "has no pipeline" in (await api.post("/channels/shop/start", None, 409)).detail
    assert (await api.post("/channels/shop/stop")).status is ChannelStatus.STOP


async def test_what_runs_cannot_be_deleted(api: Browser, session: Session) -> None:
    for command, word in (("start", "started"), ("pause", "paused")):
        await api.post(f"/channels/shop/{command}")
        for path in ("/channels/shop", "/channels/shop/pipelines/a2b"):
            assert word in (await api.call("DELETE", path, status=409)).detail
    await api.post("/channels/shop/stop")
    await api.call("DELETE", "/channels/shop", status=204)
    assert await session.get(paths.channel(1)) is None


async def test_a_running_pipeline_may_be_changed(api: Browser) -> None:
    await api.post("/channels/shop/start")
    await api.post("/channels/shop/pipelines/a2b/pairs", Pair(source="shop.more"), 201)


async def test_status_shows_who_lives_and_who_selects(api: Browser, desk: Desk, session: Session) -> None:
    await session.create(paths.node(1), ephemeral=True)
    await session.create(paths.node(2), ephemeral=True)
    await session.create(paths.mainstem(1, 1), msgspec.json.encode(Mainstem(1, 3)), ephemeral=True)
    await api.post("/channels/shop/start")
    status = await _fresh(api, desk)
    assert [node.alive for node in status.nodes] == [True, True]
    assert status.channels[0].pipelines[0].mainstem == "n1"
    assert status.zookeeper == {"zk": ""}


async def _fresh(api: Browser, desk: Desk) -> object:
    desk._status = None
    return await api.get("/status")


async def test_events_bring_the_status_every_second(api: Browser) -> None:
    async with api.client.get("/api/v1/events", headers=api.headers) as response:
        assert response.content_type == "text/event-stream"
        for _ in range(2):
            assert await response.content.readline() == b"event: status\n"
            assert b'"zookeeper":{"zk":""}' in await response.content.readline()
            await response.content.readline()


async def test_an_unreachable_zookeeper_is_said_and_the_rest_works(desk: Desk, api: Browser) -> None:
    dead = ZooKeeperCluster(name="dead", servers=(f"127.0.0.1:{free_port()}",))
    await api.post("/zookeepers", dead, 201)
    await api.post("/nodes", Node(name="lost", ip="h", zookeeper="dead"), 201)
    await api.post("/channels", {"name": "far"}, 201)
    await api.post(
        "/channels/far/pipelines", msgspec.structs.replace(A2B, select_nodes=("lost",), load_nodes=("lost",)), 201
    )
    problem = await api.post("/channels/far/start", None, 503)
    assert "ZooKeeper cluster dead" in problem.detail
    assert (await api.call("DELETE", "/channels/far", status=503)).hint
    status = await _fresh(api, desk)
    assert status.zookeeper["zk"] == ""
    assert status.zookeeper["dead"]
    assert status.channels[1].pipelines[0].words.startswith("unknown: ZooKeeper cluster dead")


async def test_changed_servers_are_connected_to(desk: Desk, api: Browser, zookeeper: Zookeeper) -> None:
    dead = ZooKeeperCluster(name="zk", servers=(f"127.0.0.1:{free_port()}",))
    await api.call("PUT", "/zookeepers/zk", dead)
    assert desk.zookeepers.words()["zk"]
    await api.call("PUT", "/zookeepers/zk", ZooKeeperCluster(name="zk", servers=(zookeeper.address,)))
    async with asyncio.timeout(20):
        while desk.zookeepers.words()["zk"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


# -- wait -------------------------------------------------------------------------------------------------------------


async def test_wait_asks_the_mainstem(api: Browser, session: Session, node: tuple[NodePort, int]) -> None:
    await api.post("/channels/shop/start")
    await session.create(paths.mainstem(1, 1), msgspec.json.encode(Mainstem(1, 3)), ephemeral=True)
    waited = await api.post("/channels/shop/wait?timeout=10")
    assert (waited.reached, node[0].waits.get_nowait()) == (True, 1)


async def test_wait_waits_for_a_mainstem(api: Browser, session: Session) -> None:
    await api.post("/channels/shop/start")
    waiting = asyncio.create_task(api.post("/channels/shop/wait?timeout=20"))
    done, _ = await asyncio.wait({waiting}, timeout=0.5)
    assert not done
    await session.create(paths.mainstem(1, 1), msgspec.json.encode(Mainstem(1, 3)), ephemeral=True)
    assert (await waiting).reached


async def test_wait_follows_the_mainstem_away_from_a_silent_node(
    api: Browser, session: Session, node: tuple[NodePort, int]
) -> None:
    port, asleep = node[0], asyncio.Event()

    async def silent() -> web.Response:
        port.answer = port.reached
        await asleep.wait()
        return await port.reached()

    port.answer = silent
    await api.post("/channels/shop/start")
    await session.create(paths.mainstem(1, 1), msgspec.json.encode(Mainstem(1, 3)))
    waiting = asyncio.create_task(api.post("/channels/shop/wait?timeout=30"))
    await asyncio.wait_for(port.waits.get(), 10)
    await session.set(paths.mainstem(1, 1), msgspec.json.encode(Mainstem(1, 4)))
    assert (await waiting).reached
    asleep.set()


async def test_wait_says_why_it_was_not_reached(api: Browser, session: Session, node: tuple[NodePort, int]) -> None:
    assert "not started" in (await api.post("/channels/shop/wait", None, 409)).detail
    await api.post("/channels/shop/start")
    assert await api.post("/channels/shop/wait?timeout=0.3") == Waited(
        reached=False, words="a2b: no node holds the mainstem"
    )
    await session.create(paths.mainstem(1, 1), msgspec.json.encode(Mainstem(2, 3)), ephemeral=True)
    waited = await api.post("/channels/shop/wait?timeout=0.3")
    assert not waited.reached
    assert "does not answer" in waited.words
    assert (await api.post("/channels/shop/wait?timeout=x", None, 400)).field == "timeout"


# -- nodes and databases ----------------------------------------------------------------------------------------------


async def test_files_of_a_node(api: Browser) -> None:
    assert [file.name for file in await api.get("/nodes/n1/files")] == ["a b.otter"]
    assert await api.get("/nodes/n1/files/htdocs/a%20b.otter?limit=5") == {"rows": 3, "offset": "0", "limit": "5"}
    problem = await api.get("/nodes/n1/files/htdocs/none", 404)
    assert (problem.detail, problem.hint) == ("no such file", "look again")
    assert "does not answer" in (await api.get("/nodes/n2/files", 503)).detail
    await api.get("/nodes/none/files", 404)


async def test_doctor(api: Browser, session: Session, mariadb: Mariadb) -> None:
    """n1 is alive and answers (its clock is far off), n2 is dead: the manager looks at the target itself."""
    await session.create(paths.node(1), ephemeral=True)
    await api.call("PUT", "/data-sources/us-west", DataSource(
        name="us-west", host="127.0.0.1", port=mariadb.port, username="otter", password="otter"))  # fmt: skip
    checks = {(check.subject, check.name): check for check in await api.get("/doctor?channel=shop")}
    assert checks["ZooKeeper cluster zk", "connection"].ok
    assert checks["node n1", "alive"].ok
    assert "NTP" in checks["node n1", "communication port"].hint
    assert not checks["node n1", "download port"].ok
    assert "未启动" in checks["node n2", "alive"].words
    assert checks["data source hangzhou", "binlog_format"].ok
    assert "seen from the manager" in checks["data source us-west", "connection"].words
    assert checks["pipeline shop/a2b", "pairs"].words == "2 tables mapped"
    assert set(checks) <= {(check.subject, check.name) for check in await api.get("/doctor")}
    await api.get("/doctor?channel=none", 404)


async def test_a_data_source_is_tested(api: Browser, mariadb: Mariadb) -> None:
    name = f"s{uuid.uuid4().hex[:6]}"
    good = DataSource(name=name, host="127.0.0.1", port=mariadb.port, username="otter", password="otter")
    (check, *_) = await api.post("/data-sources/test", good)
    assert check.ok
    assert "seen from the manager" in check.words
    await api.post("/data-sources", good, 201)
    stored = msgspec.structs.replace(good, password="")
    assert (await api.post("/data-sources/test", stored))[0].ok
    wrong = msgspec.structs.replace(good, password="wrong")
    (check,) = await api.post("/data-sources/test", wrong)
    assert not check.ok
    assert "Access denied" in check.words
    nowhere = msgspec.structs.replace(good, port=free_port())
    assert "check host, port" in (await api.post("/data-sources/test", nowhere))[0].hint
    new = msgspec.structs.replace(good, name="new", password="")
    assert (await api.post("/data-sources/test", new, 400)).field == "password"


async def test_events_end_with_the_managers_stop(desk: Desk, api: Browser) -> None:
    async with api.client.get("/api/v1/events", headers=api.headers) as response:
        await response.content.readline()
        await desk.close_answers()
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(response.content.read(), 5)


async def test_doctor_compares_the_tables_of_both_sides(api: Browser, mariadb: Mariadb) -> None:
    schema = f"d{uuid.uuid4().hex[:6]}"
    mariadb.run(f"CREATE DATABASE {schema}", f"CREATE TABLE {schema}.a (id INT PRIMARY KEY, x INT) ENGINE=InnoDB",
                f"CREATE TABLE {schema}.b (id INT PRIMARY KEY) ENGINE=InnoDB")  # fmt: skip
    pairs = "/channels/shop/pipelines/a2b/pairs"
    for pair in ("shop.orders", "shop.lines"):
        await api.call("DELETE", f"{pairs}/{pair}", status=204)
    await api.post(pairs, Pair(source=f"{schema}.a", target=f"{schema}.b"), 201)
    for name in ("hangzhou", "us-west"):
        source = DataSource(name=name, host="127.0.0.1", port=mariadb.port, username="otter", password="otter")
        await api.call("PUT", f"/data-sources/{name}", source)
    checks = {check.name: check for check in await api.get("/doctor?channel=shop") if check.subject.startswith("pair ")}
    assert checks["key"].ok
    assert not checks["columns"].ok
    assert "ADD COLUMN `x`" in checks["columns"].hint
    mariadb.run(f"DROP DATABASE {schema}")
