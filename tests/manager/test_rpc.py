"""What nodes get: signed requests, the long poll, reports."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import msgspec
import pytest
from aiohttp.test_utils import TestServer

from otter.manager import catalog as c
from otter.manager.desk import Desk
from otter.manager.rpc import rpc_app
from otter.manager.store.store import Store
from otter.model.config import DataSource, NodeConfig
from otter.model.stats import NodeReport
from otter.rpc.client import Peer, Refused
from tests.manager.conftest import KEY
from tests.manager.objects import A2B, N1, full


@pytest.fixture
async def server(desk: Desk) -> AsyncIterator[str]:
    async with TestServer(rpc_app(desk, KEY)) as server:
        yield str(server.make_url(""))
        await desk.close_answers()


@pytest.fixture
async def peer(server: str) -> AsyncIterator[Peer]:
    peer = Peer(server, KEY)
    yield peer
    await peer.close()


async def test_a_node_gets_its_own_pipelines_resolved(desk: Desk, peer: Peer) -> None:
    n3 = msgspec.structs.replace(N1, name="n3", port=1, download_port=2)
    back = msgspec.structs.replace(A2B, name="b2a", source="us-west", target="hangzhou", load_nodes=("n3",), pairs=())
    await desk.edit("admin", lambda old: c.put_pipeline(c.create(full(old), n3), "shop", back))
    one = await peer.get("/rpc/v1/nodes/1/config", NodeConfig)
    assert one.zookeeper_servers == ("127.0.0.1:2181",)
    assert [(task.id, task.name, task.opposite_id) for task in one.pipelines] == [(1, "a2b", 2), (2, "b2a", 1)]
    assert {node.name for node in one.nodes} == {"n1", "n2", "n3"}
    task = one.pipelines[0]
    assert (task.select_nids, task.load_nids, task.channel_id, task.channel) == ((1,), (2,), 1, "shop")
    assert isinstance(task.source, DataSource)
    assert task.source.password == "enc:x"
    two = await peer.get("/rpc/v1/nodes/2/config", NodeConfig)
    assert [task.name for task in two.pipelines] == ["a2b"]
    assert {node.name for node in two.nodes} == {"n1", "n2"}


async def test_an_unknown_nid_is_told_at_once(peer: Peer) -> None:
    with pytest.raises(Refused, match=r"no node with nid 9.*conf/nid") as caught:
        await peer.get("/rpc/v1/nodes/9/config?version=5&wait=30", NodeConfig)
    assert caught.value.status == 404


async def test_the_long_poll_answers_when_something_changes(desk: Desk, peer: Peer) -> None:
    await desk.edit("admin", full)
    polling = asyncio.create_task(peer.get("/rpc/v1/nodes/1/config?version=2&wait=30", NodeConfig, timeout=40))
    done, _ = await asyncio.wait({polling}, timeout=0.3)
    assert not done
    await desk.edit("admin", lambda old: c.remove_pair(old, ("shop", "a2b"), "shop.lines"))
    began = time.monotonic()
    config = await polling
    assert time.monotonic() - began < 1.0
    assert config.version == 3
    assert len(config.pipelines[0].pairs) == 1


async def test_the_long_poll_sees_what_another_manager_changed(desk: Desk, peer: Peer) -> None:
    await desk.edit("admin", full)
    polling = asyncio.create_task(peer.get("/rpc/v1/nodes/1/config?version=2&wait=30", NodeConfig, timeout=40))
    other = Store(desk.store.engine)
    await asyncio.to_thread(other.edit, "admin", lambda old: c.remove_pipeline(old, "shop", "a2b"))
    assert (await polling).pipelines == ()


async def test_the_long_poll_ends_with_304(desk: Desk, peer: Peer) -> None:
    await desk.edit("admin", full)
    status, body = await peer.call("GET", "/rpc/v1/nodes/1/config?version=2&wait=0.2")
    assert (status, body) == (304, b"")


async def test_the_managers_stop_ends_long_polls(desk: Desk, peer: Peer) -> None:
    await desk.edit("admin", full)
    polling = asyncio.create_task(peer.call("GET", "/rpc/v1/nodes/1/config?version=2&wait=30", timeout=40))
    await asyncio.wait({polling}, timeout=0.2)
    await desk.close_answers()
    assert (await asyncio.wait_for(polling, 2))[0] == 304


async def test_reports_are_kept_with_the_time_they_came(desk: Desk, peer: Peer) -> None:
    report = NodeReport(nid=1, config_version=1, version="0", started=0.0, at=time.time() + 100)
    assert (await peer.call("POST", "/rpc/v1/nodes/1/report", report))[0] == 204
    arrived = desk.reports.last[1]
    assert arrived.report == report
    assert arrived.at == pytest.approx(time.monotonic(), abs=2)
    assert arrived.offset == pytest.approx(100, abs=2)
    with pytest.raises(Refused, match="came as nid 2"):
        await peer.call("POST", "/rpc/v1/nodes/2/report", report)


async def test_strangers_get_nothing(server: str, desk: Desk) -> None:
    await desk.edit("admin", full)
    stranger = Peer(server, b"x" * 32)
    with pytest.raises(Refused, match="cluster key") as caught:
        await stranger.get("/rpc/v1/nodes/1/config", NodeConfig)
    assert caught.value.status == 401
    await stranger.close()
