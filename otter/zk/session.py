"""A ZooKeeper session for asyncio, over kazoo.

Three traps of kazoo are closed here (measured, see DESIGN): it queues writes while the connection is suspended and
delivers them late, so we refuse them; it never says LOST while the server is silent, so ``lost`` fires by our own
monotonic timer; its calls can wait for ever, so each has a deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from typing import Any

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import (
    BadVersionError,
    ConnectionLoss,
    KazooException,
    NodeExistsError,
    NoNodeError,
    SessionExpiredError,
)
from kazoo.handlers.threading import KazooTimeoutError

from otter.errors import OtterError, Retryable

log = logging.getLogger("otter.zk")
logging.getLogger("kazoo").setLevel(logging.ERROR)  # its warnings repeat every retry; we say it once, in a sentence

#: ZooKeeper's own limit of a znode is 1 MiB, and going over it kills the connection.
MAX_BYTES = 100_000
#: Seconds between tries to connect again; kazoo's own limit of 60 s would outlast many an outage.
SLOWEST_RECONNECT = 2.0


class Exists(OtterError):
    """The znode is there already."""


class Missing(OtterError):
    """The znode is not there."""


class Changed(OtterError):
    """The znode has another version than the one that was expected."""


class Session:
    """One session. ``servers`` are ``host:port``; ``timeout`` is the session timeout in seconds."""

    def __init__(self, servers: tuple[str, ...], timeout: float) -> None:
        self.servers = servers
        self.timeout = timeout
        self.lost = asyncio.Event()  # set = what we held by this session may belong to somebody else now
        again = {"max_tries": -1, "delay": 0.1, "backoff": 2, "max_delay": SLOWEST_RECONNECT}
        self._client: Any = KazooClient(hosts=",".join(servers), timeout=timeout, connection_retry=again)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._bells: weakref.WeakSet[asyncio.Event] = weakref.WeakSet()
        self._connected = False

    # -- life ---------------------------------------------------------------------------------------------------

    async def open(self, deadline: float = 15.0) -> None:
        """Connects; raises :class:`Retryable` when no server answers within ``deadline`` seconds."""
        self._client.add_listener(self._state_changed)
        try:
            await asyncio.to_thread(self._client.start, deadline)
        except KazooTimeoutError:
            await self.close()
            raise Retryable(
                f"no ZooKeeper of {', '.join(self.servers)} answered within {deadline:.0f} s",
                "check the ZooKeeper cluster's servers in the console, and that they run",
            ) from None
        self._connected = True

    async def close(self) -> None:
        """Ends the session; its ephemeral znodes go at once."""
        if self._timer:
            self._timer.cancel()
        self._client.remove_listener(self._state_changed)
        with contextlib.suppress(KazooException, KazooTimeoutError):
            await asyncio.to_thread(self._client.stop)
        await asyncio.to_thread(self._client.close)
        self._connected = False

    async def __aenter__(self) -> Session:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def connected(self) -> bool:
        return self._connected

    @property
    def id(self) -> int:
        """The session id, as ``Stat.ephemeralOwner`` of what we own shows it."""
        return int(self._client.client_id[0]) if self._client.client_id else 0

    def _state_changed(self, state: str) -> None:
        """Called on kazoo's thread: must not block."""
        with contextlib.suppress(RuntimeError):  # the loop is closing
            self._loop.call_soon_threadsafe(self._on_state, state)

    def _on_state(self, state: str) -> None:
        self._connected = state == KazooState.CONNECTED
        if self._connected:
            if self._timer:
                self._timer.cancel()
                self._timer = None
            if self.lost.is_set():  # whoever lost keeps the old event; whoever comes next gets a fresh one
                self.lost = asyncio.Event()
        elif state == KazooState.LOST:
            self._lose("expired")
        elif self._timer is None and not self.lost.is_set():
            # kazoo says SUSPENDED after up to 2/3 of the timeout of silence: what is left is ours to trust.
            self._timer = self._loop.call_later(self.timeout * 0.3, self._lose, "silent too long")
        for bell in list(self._bells):
            bell.set()
        self._bells.clear()

    def _lose(self, why: str) -> None:
        self._timer = None
        log.warning("ZooKeeper session lost: %s", why)
        self.lost.set()

    # -- calls --------------------------------------------------------------------------------------------------

    async def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if not self._connected:
            raise Retryable("the ZooKeeper connection is suspended", f"check {', '.join(self.servers)}")
        future: asyncio.Future[Any] = self._loop.create_future()
        result = getattr(self._client, f"{name}_async")(*args, **kwargs)

        def arrived(done: Any) -> None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_settle, future, done)

        result.rawlink(arrived)
        try:
            async with asyncio.timeout(self.timeout):
                return await future
        except NoNodeError:
            raise Missing(f"znode {args[0]} is missing") from None
        except NodeExistsError:
            raise Exists(f"znode {args[0]} exists") from None
        except BadVersionError:
            raise Changed(f"znode {args[0]} was changed by somebody else") from None
        except (ConnectionLoss, SessionExpiredError, TimeoutError) as error:
            raise Retryable(f"ZooKeeper did not answer {name} of {args[0]}: {type(error).__name__}") from None
        except KazooException as error:
            raise Retryable(f"ZooKeeper refused {name} of {args[0]}: {type(error).__name__} {error}") from None

    def _watch(self, bell: asyncio.Event | None) -> Any:
        """A kazoo watch that only rings ``bell``; the one who waits reads afresh."""
        if bell is None:
            return None
        self._bells.add(bell)

        def rung(_: Any) -> None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(bell.set)

        return rung

    async def get(self, path: str, bell: asyncio.Event | None = None) -> tuple[bytes, Any] | None:
        """Data and ``Stat``, or None; ``bell`` rings once at the next change (of existence, when it is missing)."""
        try:
            data, stat = await self._call("get", path, watch=self._watch(bell))
        except Missing:
            if bell is not None:
                await self._call("exists", path, watch=self._watch(bell))
            return None
        return data, stat

    async def children(self, path: str, bell: asyncio.Event | None = None) -> list[str]:
        """Names of the children, sorted; empty when ``path`` is missing (then ``bell`` rings when it appears)."""
        try:
            return sorted(await self._call("get_children", path, watch=self._watch(bell)))
        except Missing:
            if bell is not None:
                await self._call("exists", path, watch=self._watch(bell))
            return []

    async def create(self, path: str, data: bytes = b"", *, ephemeral: bool = False) -> None:
        """Creates a znode and its parents; raises :class:`Exists`."""
        self._check_size(path, data)
        await self._call("create", path, data, ephemeral=ephemeral, makepath=True)

    async def set(self, path: str, data: bytes, version: int = -1) -> None:
        """Raises :class:`Missing`, or :class:`Changed` when ``version`` is not the znode's."""
        self._check_size(path, data)
        await self._call("set", path, data, version)

    async def put(self, path: str, data: bytes) -> None:
        """Creates it or sets it."""
        try:
            await self.set(path, data)
        except Missing:
            try:
                await self.create(path, data)
            except Exists:
                await self.set(path, data)

    async def ensure(self, path: str, data: bytes = b"") -> None:
        """Creates it unless it is there."""
        with contextlib.suppress(Exists):
            await self.create(path, data)

    async def delete(self, path: str, *, recursive: bool = False) -> None:
        """Deletes it; one that is missing is fine."""
        if recursive:
            for child in await self.children(path):
                await self.delete(f"{path}/{child}", recursive=True)
        with contextlib.suppress(Missing):
            await self._call("delete", path)

    def _check_size(self, path: str, data: bytes) -> None:
        if len(data) > MAX_BYTES:
            raise OtterError(f"znode {path} would hold {len(data)} bytes, over our limit of {MAX_BYTES}")


def _settle(future: asyncio.Future[Any], done: Any) -> None:
    if future.done():
        return
    if done.successful():
        future.set_result(done.value)
    else:
        future.set_exception(done.exception)
