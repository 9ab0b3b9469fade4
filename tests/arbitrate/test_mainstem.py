"""The seat on a real ZooKeeper: one holder, growing epochs, cancelled when lost."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from bench.servers import Zookeeper
from otter.arbitrate.mainstem import mainstem, read
from otter.errors import LeaseLost, Retryable
from otter.model.process import Mainstem
from otter.zk import paths
from otter.zk.session import Session


async def test_one_holds_the_other_waits_and_epochs_grow(zookeeper: Zookeeper) -> None:
    async with Session((zookeeper.address,), 5) as one, Session((zookeeper.address,), 5) as two:
        got = asyncio.Event()

        async def second() -> int:
            async with mainstem(two, 91, 1, nid=2) as epoch:
                got.set()
                assert await read(one, 91, 1) == Mainstem(2, epoch)
                return epoch

        async with mainstem(one, 91, 1, nid=1, floor=41) as epoch:
            assert epoch == 42
            waiter = asyncio.create_task(second())
            await asyncio.sleep(0.3)
            assert not got.is_set()
        assert await asyncio.wait_for(waiter, 5) == 43
        assert await read(one, 91, 1) == Mainstem(0, 0)


async def test_errors_of_the_body_pass_unchanged(zookeeper: Zookeeper) -> None:
    async with Session((zookeeper.address,), 5) as session:
        with pytest.raises(Retryable, match="mine"):
            async with mainstem(session, 92, 1, nid=1):
                raise Retryable("mine")
        assert await read(session, 92, 1) == Mainstem(0, 0)


async def test_taken_away_by_hand_cancels_the_body(zookeeper: Zookeeper) -> None:
    async with Session((zookeeper.address,), 5) as session, Session((zookeeper.address,), 5) as operator:
        with pytest.raises(LeaseLost, match="taken away"):
            async with mainstem(session, 93, 1, nid=1):
                await operator.delete(paths.mainstem(93, 1))
                await asyncio.sleep(10)
        await asyncio.sleep(0)  # the cancellation is used up


async def test_a_silent_zookeeper_cancels_the_body_before_the_session_expires(tmp_path: Path) -> None:
    with Zookeeper(tmp_path / "zk") as server:
        async with Session((server.address,), 3) as session:
            assert server.process
            loop = asyncio.get_running_loop()
            began = loop.time()
            try:
                with pytest.raises(LeaseLost, match="session was lost"):
                    async with mainstem(session, 94, 1, nid=1):
                        os.kill(server.process.pid, signal.SIGSTOP)
                        await asyncio.sleep(10)
                assert loop.time() - began < 3.6
            finally:
                os.kill(server.process.pid, signal.SIGCONT)
