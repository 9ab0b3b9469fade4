"""A session against a real ZooKeeper: calls, bells, ownership, and refusing while suspended."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from bench.servers import Zookeeper
from otter.errors import Retryable
from otter.zk.session import Changed, Exists, Missing, Session


async def test_calls(zookeeper: Zookeeper) -> None:
    async with Session((zookeeper.address,), 5) as session:
        await session.create("/t1/a/b", b"1")
        with pytest.raises(Exists):
            await session.create("/t1/a/b")
        assert (await session.get("/t1/a/b"))[0] == b"1"  # type: ignore[index]
        assert await session.get("/t1/none") is None
        with pytest.raises(Missing):
            await session.set("/t1/none", b"")
        _, stat = await session.get("/t1/a/b")  # type: ignore[misc]
        await session.set("/t1/a/b", b"2", stat.version)
        with pytest.raises(Changed):
            await session.set("/t1/a/b", b"3", stat.version)
        await session.put("/t1/a/c", b"x")
        assert await session.children("/t1/a") == ["b", "c"]
        await session.delete("/t1/a", recursive=True)
        await session.delete("/t1/a")
        assert await session.children("/t1/a") == []


async def test_bell_rings_at_change_and_at_birth(zookeeper: Zookeeper) -> None:
    async with Session((zookeeper.address,), 5) as one, Session((zookeeper.address,), 5) as two:
        bell = asyncio.Event()
        assert await one.get("/t2/x", bell) is None
        await two.create("/t2/x", b"1")
        await asyncio.wait_for(bell.wait(), 5)
        bell.clear()
        await one.get("/t2/x", bell)
        await two.set("/t2/x", b"2")
        await asyncio.wait_for(bell.wait(), 5)


async def test_ephemeral_goes_with_its_session(zookeeper: Zookeeper) -> None:
    async with Session((zookeeper.address,), 5) as watcher:
        owner = Session((zookeeper.address,), 5)
        await owner.open()
        await owner.create("/t3/seat", b"", ephemeral=True)
        _, stat = await watcher.get("/t3/seat")  # type: ignore[misc]
        assert stat.ephemeralOwner == owner.id
        bell = asyncio.Event()
        await watcher.get("/t3/seat", bell)
        await owner.close()
        await asyncio.wait_for(bell.wait(), 5)
        assert await watcher.get("/t3/seat") is None


async def test_unreachable_says_so() -> None:
    with pytest.raises(Retryable, match=r"no ZooKeeper of 127\.0\.0\.1:1 answered"):
        await Session(("127.0.0.1:1",), 2).open(1)


async def test_silent_server_refuses_writes_and_loses_in_time(tmp_path: Path) -> None:
    """SIGSTOP: kazoo alone would queue the write and never say LOST."""
    with Zookeeper(tmp_path / "zk") as server:
        async with Session((server.address,), 2) as session:
            lost = session.lost
            assert server.process
            os.kill(server.process.pid, signal.SIGSTOP)
            try:
                await asyncio.wait_for(lost.wait(), 4)
                with pytest.raises(Retryable, match="suspended"):
                    await session.create("/late")
            finally:
                os.kill(server.process.pid, signal.SIGCONT)
            while not session.connected:  # noqa: ASYNC110 - the state has no event of its own
                await asyncio.sleep(0.05)
            assert await session.get("/late") is None
            assert not session.lost.is_set()
