"""Writes the hand-offs into ZooKeeper behind the work's back (D6): the push is fast, the record survives.

Writes to the same path are coalesced; while ZooKeeper is away they wait here, bounded by the window.
"""

from __future__ import annotations

import asyncio
import logging

from otter.errors import Backoff, OtterError, Retryable
from otter.zk import paths
from otter.zk.session import Session

log = logging.getLogger("otter.node.recorder")


class Recorder:
    """``put`` and ``delete`` return at once. On entry the records of earlier epochs are swept away."""

    def __init__(self, session: Session, channel_id: int, pipeline_id: int) -> None:
        self._session = session
        self._folder = paths.processes(channel_id, pipeline_id)
        self._todo: dict[str, bytes | None] = {}
        self._written: set[str] = set()
        self._bell = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Recorder:
        self._task = asyncio.create_task(self._write_for_ever())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def put(self, path: str, data: bytes) -> None:
        self._todo[path] = data
        self._bell.set()

    def delete(self, path: str) -> None:
        if path in self._todo and path not in self._written:
            del self._todo[path]  # it came and went before it was written
            return
        self._todo[path] = None
        self._bell.set()

    async def _write_for_ever(self) -> None:
        backoff = Backoff()
        swept = False
        while True:
            try:
                if not swept:
                    await self._sweep()
                    swept = True
                await self._bell.wait()
                self._bell.clear()
                await self._write_all()
                backoff.reset()
            except Retryable:
                self._bell.set()
                await backoff.pause()

    async def _sweep(self) -> None:
        for name in await self._session.children(self._folder):
            await self._session.delete(f"{self._folder}/{name}")

    async def _write_all(self) -> None:
        while self._todo:
            todo, self._todo = self._todo, {}
            waiting = dict(todo)
            try:
                for path, data in todo.items():
                    await self._write(path, data)
                    del waiting[path]
            finally:
                for path, data in waiting.items():
                    self._todo.setdefault(path, data)

    async def _write(self, path: str, data: bytes | None) -> None:
        if data is None:
            self._written.discard(path)
            await self._session.delete(path)
            return
        self._written.add(path)
        try:
            await self._session.put(path, data)
        except Retryable:
            raise
        except OtterError as error:
            log.warning("a hand-off could not be recorded: %s", error)
