"""Hand-offs in ZooKeeper: written behind the work's back, swept by the next epoch."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from bench.servers import Zookeeper
from otter.node.recorder import Recorder
from otter.zk import paths
from otter.zk.session import Session

_channels = itertools.count(9000)


@pytest.fixture
def channel() -> int:
    return next(_channels)


async def recorded(session: Session, channel: int, names: list[str]) -> None:
    """Waits until exactly these hand-offs are recorded."""
    async with asyncio.timeout(20):
        while await session.children(paths.processes(channel, 1)) != names:  # noqa: ASYNC110 - as somebody else sees it
            await asyncio.sleep(0.02)


async def test_records_come_and_go(zookeeper: Zookeeper, channel: int) -> None:
    async with Session((zookeeper.address,), 5) as session, Recorder(session, channel, 1) as recorder:
        one, two = paths.process(channel, 1, 1, 1), paths.process(channel, 1, 1, 2)
        recorder.put(one, b"one")
        recorder.put(two, b"two")
        await recorded(session, channel, [path.rpartition("/")[2] for path in (one, two)])
        found = await session.get(one)
        assert found and found[0] == b"one"
        recorder.delete(one)
        await recorded(session, channel, [two.rpartition("/")[2]])


async def test_what_came_and_went_before_it_was_written_is_never_written(zookeeper: Zookeeper, channel: int) -> None:
    async with Session((zookeeper.address,), 5) as session, Recorder(session, channel, 1) as recorder:
        short, long = paths.process(channel, 1, 1, 1), paths.process(channel, 1, 1, 2)
        recorder.put(short, b"")
        recorder.delete(short)
        recorder.put(long, b"")
        await recorded(session, channel, [long.rpartition("/")[2]])


async def test_records_of_an_earlier_epoch_are_swept(zookeeper: Zookeeper, channel: int) -> None:
    async with Session((zookeeper.address,), 5) as session:
        old, new = paths.process(channel, 1, 1, 7), paths.process(channel, 1, 2, 8)
        await session.create(old, b"left behind")
        async with Recorder(session, channel, 1) as recorder:
            recorder.put(new, b"")
            await recorded(session, channel, [new.rpartition("/")[2]])
