"""What operators tell a channel: start, pause, stop, and waiting until it has caught up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math

import msgspec

from otter.errors import OtterError, Retryable
from otter.manager.catalog import Catalog
from otter.manager.desk import Desk
from otter.manager.refusal import Conflict
from otter.manager.view import channel_view
from otter.manager.zookeepers import read_mainstem, read_status
from otter.model.config import Channel, ChannelStatus, Model, Node, Pipeline
from otter.model.process import Mainstem
from otter.model.stats import ChannelView
from otter.zk import paths
from otter.zk.session import Session

log = logging.getLogger("otter.manager.commands")


class Waited(Model, frozen=True, kw_only=True):
    """``reached``: everything committed on the source before the call is on the target; else ``words`` say why not."""

    reached: bool
    words: str = ""


# -- status -----------------------------------------------------------------------------------------------------------


async def start(desk: Desk, name: str) -> ChannelView:
    """Raises :class:`Conflict` when the channel is not complete, :class:`Retryable` when ZooKeeper is away."""
    catalog = await desk.catalog()
    channel = catalog.channel(name)
    _check_complete(channel)
    session = desk.zookeepers.session(catalog.zookeeper_of(channel))
    for pipeline in channel.pipelines:
        await session.ensure(paths.pipeline(channel.id, pipeline.id))
    return await _put(desk, session, channel, ChannelStatus.START)


async def pause(desk: Desk, name: str) -> ChannelView:
    """Only what is started can be paused."""
    catalog = await desk.catalog()
    channel = catalog.channel(name)
    if await status(desk, catalog, channel) is ChannelStatus.STOP:
        raise Conflict(f"channel {name!r} is stopped", "start it; only a started channel can be paused")
    return await _put(desk, desk.zookeepers.session(catalog.zookeeper_of(channel)), channel, ChannelStatus.PAUSE)


async def stop(desk: Desk, name: str) -> ChannelView:
    catalog = await desk.catalog()
    channel = catalog.channel(name)
    if not channel.pipelines:
        return channel_view(await desk.scene(), channel)
    return await _put(desk, desk.zookeepers.session(catalog.zookeeper_of(channel)), channel, ChannelStatus.STOP)


async def status(desk: Desk, catalog: Catalog, channel: Channel) -> ChannelStatus:
    """Raises :class:`Retryable` when ZooKeeper does not say."""
    if not channel.pipelines:
        return ChannelStatus.STOP
    return await read_status(desk.zookeepers.session(catalog.zookeeper_of(channel)), channel.id)


async def _put(desk: Desk, session: Session, channel: Channel, wanted: ChannelStatus) -> ChannelView:
    await session.put(paths.channel(channel.id), wanted.value.encode())
    desk.moved()
    log.info("channel %s: %s", channel.name, wanted.value)
    return channel_view(await desk.scene(), channel)


def _check_complete(channel: Channel) -> None:
    if not channel.pipelines:
        raise Conflict(f"channel {channel.name!r} has no pipeline", "add one before starting it")
    for pipeline in channel.pipelines:
        if not pipeline.pairs:
            raise Conflict(
                f"pipeline {channel.name}/{pipeline.name} maps no table", "add a mapping pair before starting"
            )


async def refuse_unless_stopped(desk: Desk, catalog: Catalog, channel: Channel, what: str) -> None:
    """Nobody takes the ground away from under running sides."""
    now = await status(desk, catalog, channel)
    if now is not ChannelStatus.STOP:
        words = "started" if now is ChannelStatus.START else "paused"
        raise Conflict(f"{what} cannot be deleted: channel {channel.name!r} is {words}", "stop the channel first")


async def forget(desk: Desk, catalog: Catalog, channel: Channel, pipeline: Pipeline | None = None) -> None:
    """Removes the znodes of what was deleted. That they stay is no harm: numbers are never given twice."""
    path = paths.pipeline(channel.id, pipeline.id) if pipeline else paths.channel(channel.id)
    try:
        await desk.zookeepers.session(catalog.zookeeper_of(channel)).delete(path, recursive=True)
    except Retryable as error:
        log.warning("%s stays in ZooKeeper: %s", path, error)


# -- waiting ----------------------------------------------------------------------------------------------------------


async def wait(desk: Desk, name: str, timeout: float) -> Waited:
    """Asks the mainstem of each pipeline, for at most ``timeout`` seconds in all."""
    catalog = await desk.catalog()
    channel = catalog.channel(name)
    if not channel.pipelines or await status(desk, catalog, channel) is not ChannelStatus.START:
        raise Conflict(f"channel {name!r} is not started", "start it; nothing moves until then")
    deadline = asyncio.get_running_loop().time() + timeout
    waits = [_Wait(desk, catalog, channel, pipeline, deadline).run() for pipeline in channel.pipelines]
    found = await asyncio.gather(*waits)
    missing = [waited.words for waited in found if not waited.reached]
    return Waited(reached=not missing, words="; ".join(missing or [waited.words for waited in found if waited.words]))


class _Wait:
    """One pipeline: finds the mainstem's node, asks it, and begins again when the mainstem moves."""

    def __init__(self, desk: Desk, catalog: Catalog, channel: Channel, pipeline: Pipeline, deadline: float) -> None:
        self._desk, self._catalog, self._channel, self._pipeline = desk, catalog, channel, pipeline
        self._deadline = deadline
        self._words = "not asked yet"

    @property
    def _left(self) -> float:
        return max(0.0, self._deadline - asyncio.get_running_loop().time())

    async def run(self) -> Waited:
        while True:
            try:
                answer = await self._once()
                if answer is not None and (answer.reached or self._left <= 0):
                    return answer
            except OtterError as error:
                self._words = error.message
            if self._left <= 0 or self._desk.closing.is_set():
                return Waited(reached=False, words=f"{self._pipeline.name}: {self._words}")
            with contextlib.suppress(TimeoutError):  # a back-off, ended by the manager's stop
                async with asyncio.timeout(min(0.5, self._left)):
                    await self._desk.closing.wait()

    async def _once(self) -> Waited | None:
        """None: the mainstem is nobody's or has moved."""
        bell = asyncio.Event()
        session = self._desk.zookeepers.session(self._catalog.zookeeper_of(self._channel))
        mainstem = await read_mainstem(session, self._channel.id, self._pipeline.id, bell)
        node = next((node for node in self._catalog.nodes.values() if node.nid == mainstem.nid), None)
        if node is None:
            self._words = "no node holds the mainstem"
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(self._left, 5.0)):
                    await bell.wait()
            return None
        return await self._ask(node, mainstem, session, bell)

    async def _ask(self, node: Node, mainstem: Mainstem, session: Session, bell: asyncio.Event) -> Waited | None:
        seconds = max(1, math.ceil(self._left))
        path = f"/rpc/v1/pipelines/{self._pipeline.id}/wait?timeout={seconds}"
        asking = asyncio.create_task(self._desk.peer(node).post(path, None, Waited, timeout=seconds + 5))
        moving = asyncio.create_task(self._moved(mainstem, session, bell))
        try:
            await asyncio.wait({asking, moving}, timeout=self._left + 5, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                self._words = f"the mainstem moved away from {node.name}" if moving.done() else f"{node.name} is silent"
                return None
            answer = asking.result()
            self._words = answer.words or self._words
            return answer
        except msgspec.MsgspecError:
            raise Retryable(f"{node.name} answers in words we do not know: are the versions alike?") from None
        finally:
            for task in (asking, moving):
                task.cancel()
            await asyncio.gather(asking, moving, return_exceptions=True)

    async def _moved(self, mainstem: Mainstem, session: Session, bell: asyncio.Event) -> None:
        """Returns when another node, or nobody, holds the mainstem."""
        while True:
            await bell.wait()
            bell.clear()
            with contextlib.suppress(Retryable):
                if await read_mainstem(session, self._channel.id, self._pipeline.id, bell) != mainstem:
                    return
