"""The load side's way in: brings the batch that a ticket names, and believes only what its digest fits."""

from __future__ import annotations

import asyncio
from pathlib import Path

from otter.errors import Damaged
from otter.model.batch import Batch
from otter.model.process import PipeKey, PipeKind, Ticket
from otter.pipe import file
from otter.pipe.downloader import Downloader
from otter.pipe.htdocs import Htdocs

_AGAIN = "it is asked for again by itself"


class Inbox:
    """Receives the batches of one pipeline. ``download`` is the node's ``download/``, without a budget."""

    def __init__(self, channel_id: int, pipeline_id: int, downloader: Downloader, download: Htdocs) -> None:
        self._channel_id, self._pipeline_id = channel_id, pipeline_id
        self._downloader, self._download = downloader, download

    async def get(
        self, ticket: Ticket, payload: bytes = b"", local_htdocs: Path | None = None, *, split: int = 4,
        timeout: float = 60.0,
    ) -> Batch:  # fmt: skip
        """The batch of ``ticket``. ``payload`` came with the push; ``local_htdocs`` is given when the select side is on
        this node, then a file is read where it lies. ``split``, ``timeout``: see :meth:`Downloader.fetch`.

        Raises :class:`~otter.errors.Damaged` when it must be sent again (RESEND; ``Missing`` is one), and
        :class:`~otter.errors.Retryable` when asking again may do."""
        key = ticket.key
        if key.kind is PipeKind.NONE:
            return self._empty(ticket)
        if key.kind is PipeKind.FILE:
            path = await self._bring(key, local_htdocs, split, timeout)
            batch = await asyncio.to_thread(file.read, path, key.digest)
        else:
            batch = await asyncio.to_thread(file.decode, payload, key.digest)
        return self._checked(batch, ticket)

    async def _bring(self, key: PipeKey, local_htdocs: Path | None, split: int, timeout: float) -> Path:
        if local_htdocs is None:
            return await self._downloader.fetch(key.url, key.file, key.size, key.digest, split=split, timeout=timeout)
        path = Htdocs(local_htdocs).find(key.file)
        if path is None:
            raise Damaged(f"{key.file} is not in {local_htdocs} (any more)", _AGAIN)
        return path

    def _empty(self, ticket: Ticket) -> Batch:
        return Batch(self._channel_id, self._pipeline_id, ticket.epoch, ticket.number, ticket.start, ticket.end, (), ())

    def _checked(self, batch: Batch, ticket: Ticket) -> Batch:
        """A whole file that is another batch than the ticket says would be the worst: refuse it."""
        named = (self._pipeline_id, ticket.epoch, ticket.number, ticket.start, ticket.end)
        if (batch.pipeline_id, batch.epoch, batch.number, batch.start, batch.end) != named:
            raise Damaged(
                f"the bytes of ticket {ticket.number} hold batch {batch.number} of epoch {batch.epoch}", _AGAIN
            )
        return batch

    def remove(self, key: PipeKey) -> None:
        """Its batch was committed: what was downloaded for it goes."""
        if key.file:
            self._download.remove(key.file)
