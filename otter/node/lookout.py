"""Where the source is right now, asked over one kept connection beside the binlog stream."""

from __future__ import annotations

import asyncio
import time

from otter.dialect import source
from otter.dialect.connection import Connection
from otter.errors import OtterError
from otter.model.batch import Position
from otter.model.config import DataSource

#: Seconds between looks at the source's clock.
CLOCK_EVERY = 30.0


class Lookout:
    """One question at a time. ``clock_offset`` is the source's clock minus ours, seconds."""

    def __init__(self, data_source: DataSource) -> None:
        self.clock_offset = 0.0
        self._source = data_source
        self._connection: Connection | None = None
        self._clock_at = 0.0
        self._lock = asyncio.Lock()

    async def head(self) -> Position:
        """The newest position of the source's binlog. After an error the next question connects again."""
        async with self._lock:
            return await asyncio.to_thread(self._head)

    def _head(self) -> Position:
        try:
            if self._connection is None:
                self._connection = Connection(self._source)
                self._clock_at = 0.0
            if time.monotonic() - self._clock_at > CLOCK_EVERY:
                self.clock_offset = source.clock_offset(self._connection)
                self._clock_at = time.monotonic()
            return source.head(self._connection)
        except OtterError:
            self._drop()
            raise

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def close(self) -> None:
        async with self._lock:
            await asyncio.to_thread(self._drop)
