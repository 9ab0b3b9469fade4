"""One ZooKeeper session for each cluster of the store, kept in step with it. A cluster that does not answer is said and
tried again; the console works without it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Iterable, Mapping

import msgspec

from otter.errors import Retryable
from otter.manager.catalog import Catalog
from otter.model.config import ChannelStatus, ZooKeeperCluster
from otter.model.process import Mainstem
from otter.zk import paths
from otter.zk.session import Session

log = logging.getLogger("otter.manager.zookeepers")


class Picture(msgspec.Struct, frozen=True):
    """What ZooKeeper says. ``words`` by cluster ("" = connected); a channel of an unreachable cluster has no status."""

    words: Mapping[str, str] = {}
    alive: frozenset[int] = frozenset()  # nids
    statuses: Mapping[int, ChannelStatus] = {}  # by channel id
    mainstems: Mapping[int, Mainstem] = {}  # by pipeline id


class ZooKeepers:
    """``sync`` opens and closes sessions; ``close`` ends all."""

    def __init__(self, timeout: float, deadline: float) -> None:
        """``timeout`` of a session, ``deadline`` of one try to connect; seconds."""
        self._timeout = timeout
        self._deadline = deadline
        self._keepers: dict[str, _Keeper] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def sync(self, clusters: Iterable[ZooKeeperCluster]) -> None:
        """One session per cluster, with the servers it has now."""
        wanted = {cluster.name: cluster.servers for cluster in clusters}
        for name, keeper in list(self._keepers.items()):
            if wanted.get(name) != keeper.servers:
                ending = asyncio.create_task(self._keepers.pop(name).close())
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)
        for name, servers in wanted.items():
            if name not in self._keepers:
                self._keepers[name] = _Keeper(name, servers, self._timeout, self._deadline)

    async def close(self) -> None:
        """Ends all sessions; takes as long as a try to connect that is under way."""
        self.sync(())
        await asyncio.gather(*self._ending)

    def words(self) -> dict[str, str]:
        return {name: keeper.words for name, keeper in self._keepers.items()}

    def session(self, name: str) -> Session:
        """The session of a cluster; raises :class:`Retryable` while it is not connected."""
        keeper = self._keepers.get(name)
        if keeper is None or keeper.session is None or not keeper.session.connected:
            words = keeper.words if keeper else "is not in the store"
            raise Retryable(f"ZooKeeper cluster {name}: {words}", "check its servers in the console, and that they run")
        return keeper.session

    async def picture(self, catalog: Catalog) -> Picture:
        """One reading of every reachable cluster."""
        found = await asyncio.gather(*(self._read(name, catalog) for name in catalog.zookeepers))
        words, alive = self.words(), frozenset[int]()
        statuses: dict[int, ChannelStatus] = {}
        mainstems: dict[int, Mainstem] = {}
        for picture in found:
            words |= picture.words
            alive |= picture.alive
            statuses |= picture.statuses
            mainstems |= picture.mainstems
        return Picture(words, alive, statuses, mainstems)

    async def _read(self, name: str, catalog: Catalog) -> Picture:
        try:
            session = self.session(name)
            alive = frozenset(int(child) for child in await session.children(paths.NODES) if child.isdecimal())
            mine = [channel for channel in catalog.channels.values() if catalog.zookeeper_of(channel) == name]
            statuses = await asyncio.gather(*(read_status(session, channel.id) for channel in mine))
            seats = [(channel.id, pipeline.id) for channel in mine for pipeline in channel.pipelines]
            mainstems = await asyncio.gather(*(read_mainstem(session, *seat) for seat in seats))
        except Retryable as error:
            return Picture(words={name: self.words().get(name) or error.message})
        return Picture(
            alive=alive,
            statuses={channel.id: status for channel, status in zip(mine, statuses, strict=True)},
            mainstems={seat[1]: held for seat, held in zip(seats, mainstems, strict=True) if held.nid},
        )


async def read_status(session: Session, channel_id: int) -> ChannelStatus:
    """A channel that was never started is stopped."""
    found = await session.get(paths.channel(channel_id))
    text = found[0].decode("ascii", "replace").strip('"') if found else ""
    return ChannelStatus(text) if text in ChannelStatus.__members__ else ChannelStatus.STOP


async def read_mainstem(
    session: Session, channel_id: int, pipeline_id: int, bell: asyncio.Event | None = None
) -> Mainstem:
    """Who selects; nid 0 = nobody."""
    found = await session.get(paths.mainstem(channel_id, pipeline_id), bell)
    try:
        return msgspec.json.decode(found[0], type=Mainstem) if found else Mainstem(0, 0)
    except msgspec.MsgspecError:
        return Mainstem(0, 0)


class _Keeper:
    """Opens one session, trying again with a growing pause; kazoo reconnects by itself after that."""

    def __init__(self, name: str, servers: tuple[str, ...], timeout: float, deadline: float) -> None:
        self.name = name
        self.servers = servers
        self.session: Session | None = None
        self._timeout = timeout
        self._deadline = deadline
        self._why = "connecting"
        self._closing = asyncio.Event()
        self._task = asyncio.create_task(self._open(), name=f"zookeeper {name}")

    @property
    def words(self) -> str:
        """What is wrong; "" = connected."""
        if self.session is None:
            return self._why
        return "" if self.session.connected else f"connection to {', '.join(self.servers)} lost"

    async def _open(self) -> None:
        pause = 0.5
        while self.session is None and not self._closing.is_set():
            session = Session(self.servers, self._timeout)
            try:
                await session.open(self._deadline)
            except Retryable as error:
                if self._why != error.message:
                    log.warning("ZooKeeper cluster %s: %s; trying again", self.name, error)
                self._why = error.message
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause * random.uniform(0.7, 1.3)):  # noqa: S311
                        await self._closing.wait()
                pause = min(pause * 2, 10.0)
            else:
                log.info("ZooKeeper cluster %s is connected", self.name)
                self.session = session

    async def close(self) -> None:
        """Waits for a try to connect that is under way: kazoo cannot be stopped while it starts."""
        self._closing.set()
        await asyncio.wait({self._task})
        if self.session is not None:
            await self.session.close()
