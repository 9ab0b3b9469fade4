"""The mainstem: the one seat of a pipeline from which the binlog is read.

The seat is a scope: what runs inside is cancelled the moment the seat is lost. Each holder gets an epoch, greater than
every one before; the target refuses whatever comes under an older one, so a holder that was only asleep does no harm.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec

from otter.errors import LeaseLost, Retryable
from otter.model.process import Mainstem
from otter.zk import paths
from otter.zk.session import Changed, Exists, Session

#: Seconds after which a waiting candidate looks again even if no bell rang.
LOOK_AGAIN = 10.0


@contextlib.asynccontextmanager
async def mainstem(session: Session, channel_id: int, pipeline_id: int, nid: int, floor: int = 0) -> AsyncIterator[int]:
    """Waits for the seat and yields its epoch (> ``floor``). The body is cancelled and :class:`LeaseLost` raised when
    the seat is lost; :class:`Retryable` while ZooKeeper cannot be asked."""
    path = paths.mainstem(channel_id, pipeline_id)
    lost = session.lost
    await _take(session, path, nid)
    try:
        epoch = await _next_epoch(session, paths.epoch(channel_id, pipeline_id), floor)
        await session.set(path, msgspec.json.encode(Mainstem(nid, epoch)))
        async with _guarded(asyncio.create_task(_guard(session, path, lost))):
            yield epoch
    finally:
        await _give_back(session, path)


@contextlib.asynccontextmanager
async def _guarded(guard: asyncio.Task[None]) -> AsyncIterator[None]:
    """Cancels the body when ``guard`` fails, and raises what the guard raised."""
    body = asyncio.current_task()

    def failed(task: asyncio.Task[None]) -> None:
        if body and not task.cancelled() and task.exception():
            body.cancel()

    guard.add_done_callback(failed)
    try:
        yield
    except asyncio.CancelledError:
        if not guard.done() or guard.cancelled():
            raise
        if body:
            body.uncancel()
        guard.result()
    finally:
        guard.cancel()


async def read(session: Session, channel_id: int, pipeline_id: int, bell: asyncio.Event | None = None) -> Mainstem:
    """Who selects; ``Mainstem(0, 0)`` = nobody yet."""
    found = await session.get(paths.mainstem(channel_id, pipeline_id), bell)
    if found is None or not found[0]:
        return Mainstem(0, 0)
    return msgspec.json.decode(found[0], type=Mainstem)


async def _take(session: Session, path: str, nid: int) -> None:
    bell = asyncio.Event()
    while True:
        with contextlib.suppress(Exists):
            await session.create(path, msgspec.json.encode(Mainstem(nid, 0)), ephemeral=True)
            return
        found = await session.get(path, bell)
        if found and found[1].ephemeralOwner == session.id:  # an answer of ours that never arrived
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_AGAIN):
                await bell.wait()
        bell.clear()


async def _next_epoch(session: Session, path: str, floor: int) -> int:
    while True:
        found = await session.get(path)
        try:
            if found is None:
                await session.create(path, str(floor + 1).encode())
                return floor + 1
            epoch = max(int(found[0] or b"0"), floor) + 1
            await session.set(path, str(epoch).encode(), found[1].version)
        except (Exists, Changed):
            continue
        return epoch


async def _guard(session: Session, path: str, lost: asyncio.Event) -> None:
    """Raises :class:`LeaseLost` when the session is lost or the seat belongs to somebody else (taken away by hand)."""
    while True:
        bell = asyncio.Event()
        try:
            found = await session.get(path, bell)
            if found is None or found[1].ephemeralOwner != session.id:
                raise LeaseLost("the mainstem was taken away")
        except Retryable:
            pass  # suspended: ours until ``lost`` rings
        waits = [asyncio.create_task(bell.wait()), asyncio.create_task(lost.wait())]
        try:
            await asyncio.wait(waits, timeout=LOOK_AGAIN, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if lost.is_set():
            raise LeaseLost("the ZooKeeper session was lost")


async def _give_back(session: Session, path: str) -> None:
    """Deletes the seat if it is ours; when ZooKeeper cannot be asked, it goes with the session."""
    with contextlib.suppress(Retryable):
        found = await session.get(path)
        if found and found[1].ephemeralOwner == session.id:
            await session.delete(path)
