"""The select side's way out: packs a batch, chooses its pipe, and says how to get it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from otter.model.batch import Batch
from otter.model.config import PipelineParameters
from otter.model.process import PipeKey, PipeKind
from otter.pipe import choose, file, url
from otter.pipe.htdocs import Htdocs

#: Seconds that a download URL is good for: longer than any batch should be on its way, then it is sent again.
URL_LIFE = 6 * 3600.0


class Outbox:
    """Sends the batches of one pipeline from node ``nid``. ``base_url(peer)`` is our download port as node ``peer``
    reaches it; ``payload`` is the most that a push may carry, bytes."""

    def __init__(
        self, htdocs: Htdocs, base_url: Callable[[int], str], key: bytes, nid: int, *, payload: int = choose.PAYLOAD
    ) -> None:
        self._htdocs, self._base_url, self._key, self._nid, self._payload = htdocs, base_url, key, nid, payload

    async def put(self, batch: Batch, parameters: PipelineParameters, peer: int) -> tuple[PipeKey, bytes]:
        """How node ``peer`` gets ``batch``, and the payload of the push (empty for a file or an empty batch).

        Raises :class:`~otter.errors.Retryable` when ``htdocs/`` has no room, :class:`~otter.errors.Fatal` when the
        batch is beyond all limits. Call again with the same batch to send it again, to anybody."""
        kind, packed = await asyncio.to_thread(self._pack, batch, parameters, peer)
        if packed is None:
            return PipeKey(kind), b""
        if kind is not PipeKind.FILE:
            return PipeKey(kind, len(packed.data), packed.digest), packed.data
        await asyncio.to_thread(self._htdocs.publish, packed.name, packed.data)
        return PipeKey(kind, len(packed.data), packed.digest, packed.name, self._address(packed.name, peer)), b""

    def _pack(self, batch: Batch, parameters: PipelineParameters, peer: int) -> tuple[PipeKind, file.Packed | None]:
        """Packs plainly where memory is the likely pipe, else with zstd; packs again where the size says otherwise."""
        kind, packed = self._choose(batch, parameters, peer, 0), None
        if kind is PipeKind.NONE:
            return kind, None
        if kind is PipeKind.MEMORY:
            packed = file.pack(batch, compress=False)
            kind = self._choose(batch, parameters, peer, len(packed.data))
        if packed is None or kind is not PipeKind.MEMORY:
            packed = file.pack(batch)
            kind = self._choose(batch, parameters, peer, len(packed.data))
        return kind, packed

    def _choose(self, batch: Batch, parameters: PipelineParameters, peer: int, packed: int) -> PipeKind:
        return choose.choose(
            parameters, same_node=peer == self._nid, packed=packed, part=batch.part, empty=not batch.transactions,
            payload=self._payload,
        )  # fmt: skip

    def _address(self, name: str, peer: int) -> str:
        return url.sign(self._base_url(peer), name, peer, time.time() + URL_LIFE, self._key)

    def renew(self, key: PipeKey, peer: int) -> PipeKey:
        """The same file for another node, or with a new expiry."""
        return PipeKey(key.kind, key.size, key.digest, key.file, self._address(key.file, peer)) if key.file else key

    def remove(self, key: PipeKey) -> None:
        """Its batch was loaded (or is given up): the file goes."""
        if key.file:
            self._htdocs.remove(key.file)
