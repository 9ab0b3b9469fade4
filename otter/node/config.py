"""The node's configuration: pushed by the manager (a long poll that we dial), cached on disk for when it is away."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from otter.errors import Backoff, BadConfig, Retryable
from otter.model.config import NodeConfig
from otter.rpc.client import Peer, Refused

log = logging.getLogger("otter.node.config")

#: Seconds a poll waits at the manager for a change.
POLL = 25


class ConfigCache:
    """The last configuration on disk, readable by its owner only (passwords in it are sealed)."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self, nid: int) -> NodeConfig | None:
        """None when there is none, or none of this node and version of ours."""
        try:
            config = msgspec.json.decode(self._file.read_bytes(), type=NodeConfig)
        except (OSError, msgspec.MsgspecError):
            return None
        return config if config.node.nid == nid else None

    def write(self, config: NodeConfig) -> None:
        temporary = self._file.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(msgspec.json.format(msgspec.json.encode(config)))
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(self._file)


class ConfigSource:
    """Asks the managers in turn; the first that answers is kept until it fails."""

    def __init__(self, managers: list[Peer], nid: int, cache: ConfigCache) -> None:
        self._managers = managers
        self._nid = nid
        self._cache = cache

    async def first(self, timeout: float = 10.0) -> NodeConfig:
        """From a manager, else from the cache; raises :class:`BadConfig` or :class:`Retryable` in words."""
        error: Retryable | None = None
        for manager in self._managers:
            try:
                return await self._ask(manager, -1, 0, timeout)
            except Retryable as unreachable:
                error = unreachable
        cached = self._cache.read(self._nid)
        if cached is None:
            raise Retryable(
                f"no manager answers ({error}) and there is no cached configuration",
                "check otter.manager.address in conf/otter.properties, and that the manager runs",
            )
        log.warning("no manager answers (%s): going on from the cached configuration %d", error, cached.version)
        return cached

    async def follow(self, version: int, changed: Callable[[NodeConfig], None]) -> None:
        """Calls ``changed`` with every newer configuration, for ever."""
        turn, silent, backoff = 0, False, Backoff(1.0, 10.0)
        while True:
            manager = self._managers[turn % len(self._managers)]
            try:
                config = await self._ask(manager, version, POLL, POLL + 10)
                silent = False
                backoff.reset()
                if config.version != version:
                    version = config.version
                    changed(config)
            except NotNewer:
                silent = False
            except (Retryable, BadConfig) as error:
                if not silent:
                    log.warning("the manager does not answer, replication goes on without it: %s", error)
                silent = True
                turn += 1
                await backoff.pause()

    async def _ask(self, manager: Peer, version: int, wait: float, timeout: float) -> NodeConfig:
        path = f"/rpc/v1/nodes/{self._nid}/config?version={version}&wait={wait:.0f}"
        try:
            status, body = await manager.call("GET", path, timeout=timeout)
        except Refused as refused:
            if refused.status == 404:
                raise BadConfig(
                    "nid", self._nid, "the manager knows no such node: add it in the console (机器管理 → Node管理) "
                    "and write its number (序号) into conf/nid",
                ) from None  # fmt: skip
            if refused.status == 401:
                raise BadConfig(
                    "otter.cluster.keyFile", "…", "the manager has another cluster key: copy its conf/cluster.key here"
                ) from None
            raise Retryable(str(refused)) from None
        if status == 304:
            raise NotNewer
        config = msgspec.json.decode(body, type=NodeConfig)
        self._cache.write(config)
        return config


class NotNewer(Exception):
    """304: nothing changed."""
