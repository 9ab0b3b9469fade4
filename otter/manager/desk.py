"""What every request of the manager is answered from: the store, ZooKeeper, the last reports, the way to the nodes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator

from sqlalchemy import Engine

from otter.errors import OtterError
from otter.manager.catalog import Catalog
from otter.manager.config import address_of
from otter.manager.passwords import Vault
from otter.manager.reports import Reports
from otter.manager.store.accounts import Accounts
from otter.manager.store.store import Edit, Store
from otter.manager.view import Scene, Standing, stand, status_of
from otter.manager.zookeepers import ZooKeepers
from otter.model.config import Node
from otter.model.stats import ClusterStatus
from otter.rpc.client import Peer

log = logging.getLogger("otter.manager.desk")
#: Seconds between two looks at the store (another manager may have changed it) and at the cluster.
TICK = 1.0


class Desk:
    """Open while the manager runs (``async with``). ``closing`` is set when long answers must come to an end."""

    def __init__(
        self, engine: Engine, key: bytes, *, session_timeout: float, zookeeper_deadline: float = 5.0, pool: int = 10
    ) -> None:
        self.store = Store(engine)
        self.accounts = Accounts(engine)
        self.vault = Vault(key)
        self.reports = Reports()
        self.zookeepers = ZooKeepers(session_timeout, zookeeper_deadline)
        self.closing = asyncio.Event()
        self._key, self._pool = key, pool
        self._peers: dict[str, Peer] = {}
        self._changed = asyncio.Condition()
        self._version = 0
        self._standing = Standing()
        self._status: tuple[float, int, ClusterStatus] | None = None
        self._moves = 0
        self._looking = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Desk]:
        await self._follow(await self.catalog())
        task = asyncio.create_task(self._look_again_and_again(), name="manager desk")
        try:
            yield self
        finally:
            await self.close_answers()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await asyncio.gather(*(peer.close() for peer in self._peers.values()))
            await self.zookeepers.close()

    async def close_answers(self) -> None:
        """Ends long polls and event streams."""
        self.closing.set()
        async with self._changed:
            self._changed.notify_all()

    # -- objects ------------------------------------------------------------------------------------------------------

    async def catalog(self) -> Catalog:
        return await asyncio.to_thread(self.store.catalog)

    async def edit(self, who: str, edit: Edit) -> Catalog:
        """Carries out an edit; nodes that wait for configuration are told at once."""
        catalog = await asyncio.to_thread(self.store.edit, who, edit)
        self.moved()
        await self._follow(catalog)
        return catalog

    async def newer_than(self, version: int, timeout: float) -> Catalog | None:
        """The catalog once its version is above ``version``; None after ``timeout`` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(lambda: self._version > version or self.closing.is_set())
        return await self.catalog() if self._version > version else None

    async def _follow(self, catalog: Catalog) -> None:
        if catalog.version <= self._version:  # an older catalog must not undo what a newer one brought
            return
        self._version = catalog.version
        self.zookeepers.sync(catalog.zookeepers.values())
        async with self._changed:
            self._changed.notify_all()

    async def _look_again_and_again(self) -> None:
        """Keeps in step with other managers, and keeps time of what stands still even while nobody looks."""
        while not self.closing.is_set():
            try:
                await self._follow(await self.catalog())
                await self.status()
            except OtterError as error:
                log.warning("%s", error)
            except Exception:
                log.exception("the manager could not look at the cluster; it looks again")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK):
                    await self.closing.wait()

    # -- the cluster --------------------------------------------------------------------------------------------------

    async def scene(self) -> Scene:
        """Everything as it is now."""
        catalog = await self.catalog()
        picture = await self.zookeepers.picture(catalog)
        scene = Scene(catalog, picture, dict(self.reports.last), self._standing, time.monotonic())
        self._standing = stand(scene)
        return Scene(catalog, picture, scene.reports, self._standing, scene.now)

    async def status(self, max_age: float = 0.5) -> ClusterStatus:
        """For any number of lookers at the price of one: as it was at most ``max_age`` seconds ago, and never older
        than what this manager was told to do."""
        async with self._looking:
            at, moves = time.monotonic(), self._moves
            if self._status is None or at - self._status[0] > max_age or self._status[1] != moves:
                self._status = (at, moves, status_of(await self.scene(), time.time()))
            return self._status[2]

    def moved(self) -> None:
        """What lookers saw until now is not so any more."""
        self._moves += 1

    def peer(self, node: Node) -> Peer:
        """The way to a node's communication port."""
        url = address_of(node)
        if url not in self._peers:
            self._peers[url] = Peer(url, self._key, self._pool)
        return self._peers[url]
