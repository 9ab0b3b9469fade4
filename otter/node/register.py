"""A node's own znode: one live node for each nid, told apart from our own earlier life by its folder."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from pathlib import Path

import msgspec

from otter.errors import BadConfig, Retryable
from otter.model.config import Node
from otter.zk import paths
from otter.zk.session import Exists, Missing, Session

log = logging.getLogger("otter.node.register")


class Registration(msgspec.Struct, frozen=True):
    """Content of the node's znode."""

    host: str
    home: str
    ip: str
    port: int


class Register:
    """Keeps ``/otter/node/{nid}`` ours for as long as the session lives, and takes it again after one was lost."""

    def __init__(self, session: Session, node: Node, home: Path) -> None:
        self._session = session
        self._path = paths.node(node.nid)
        self._nid = node.nid
        self._mine = Registration(socket.gethostname(), str(home), node.ip, node.port)

    async def take(self) -> None:
        """Raises :class:`BadConfig` when another live node holds the nid."""
        while True:
            try:
                await self._session.create(self._path, msgspec.json.encode(self._mine), ephemeral=True)
                return
            except Exists:
                await self._look_who_is_there()

    async def _look_who_is_there(self) -> None:
        found = await self._session.get(self._path)
        if found is None:
            return
        if found[1].ephemeralOwner == self._session.id:
            await self._session.delete(self._path)
            return
        try:
            other = msgspec.json.decode(found[0], type=Registration)
        except msgspec.MsgspecError:
            other = Registration("?", "?", "?", 0)
        if (other.host, other.home) != (self._mine.host, self._mine.home):
            raise BadConfig(
                "nid", self._nid, f"a live node holds it: {other.host}:{other.home} ({other.ip}:{other.port}); "
                "give this node a number of its own in conf/nid, or stop the other",
            )  # fmt: skip
        await self._session.delete(self._path)  # our own earlier life; the lock on our folder says that it is over

    async def keep(self) -> None:
        """For ever: the znode comes back after a lost session."""
        while True:
            bell = asyncio.Event()
            with contextlib.suppress(Retryable, Missing):
                found = await self._session.get(self._path, bell)
                if found is None or found[1].ephemeralOwner != self._session.id:
                    log.warning("node %d registers again", self._nid)
                    await self.take()
                    continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await bell.wait()
