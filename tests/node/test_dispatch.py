"""The select side's board, over links in memory: who gets what, what an end or a lost link changes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from otter.errors import Retryable
from otter.model.batch import Part, Position
from otter.model.config import LbAlgorithm, PipelineParameters
from otter.model.process import Mark, PipeKey, PipeKind, Termin, TerminType, Ticket
from otter.node.dispatch import Dispatcher, Outgoing
from otter.rpc.link import Link, LinkClosed
from otter.rpc.messages import Ended, Hello, Loaded, Message, Push, Welcome

EPOCH = 3


class Pipe:
    """One end of a wire in memory."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.other: Pipe

    @classmethod
    def pair(cls) -> tuple[Pipe, Pipe]:
        one, two = cls(), cls()
        one.other, two.other = two, one
        return one, two

    async def write(self, frame: bytes) -> None:
        self.other.inbox.put_nowait(frame)

    async def read(self) -> bytes:
        frame = await self.inbox.get()
        if frame is None:
            raise LinkClosed("closed")
        return frame

    async def close(self) -> None:
        self.inbox.put_nowait(None)
        self.other.inbox.put_nowait(None)


class Loader:
    """A load side as the dispatcher sees it."""

    def __init__(self, dispatcher: Dispatcher, nid: int) -> None:
        near, far = Pipe.pair()
        self.nid, self.link = nid, Link(near)
        self.serving = asyncio.create_task(dispatcher.serve(Link(far), nid))

    async def next(self) -> Message:
        message, _ = await asyncio.wait_for(self.link.receive(), 5)
        return message

    async def hello(self, number: int = 0, epoch: int = EPOCH) -> None:
        assert await self.next() == Welcome(1, EPOCH)
        await self.link.send(Hello(self.nid, 1, Mark(epoch, number)))

    async def pushed(self) -> int:
        message = await self.next()
        assert isinstance(message, Push)
        return message.ticket.number

    async def ends(self, number: int, kind: TerminType = TerminType.NORMAL, epoch: int = EPOCH) -> None:
        await self.link.send(Ended(Termin(epoch, number, kind)))


class Desk:
    """A dispatcher with what it tells its owner."""

    def __init__(self) -> None:
        self.acked: list[int] = []
        self.addressed: list[tuple[int, int]] = []
        self.dispatcher = Dispatcher(1, self._address, lambda _: None, self._acked)
        self.loaders: list[Loader] = []

    async def _address(self, outgoing: Outgoing, nid: int) -> None:
        self.addressed.append((outgoing.ticket.number, nid))

    def _acked(self, outgoing: Outgoing, _: Termin | None) -> None:
        self.acked.append(outgoing.ticket.number)

    async def loader(self, nid: int, number: int = 0) -> Loader:
        loader = Loader(self.dispatcher, nid)
        self.loaders.append(loader)
        await loader.hello(number)
        await self.until(lambda: nid in self.dispatcher.greeted)
        return loader

    def add(self, *numbers: int, part: Part = Part.WHOLE) -> None:
        for number in numbers:
            ticket = Ticket(EPOCH, number, PipeKey(PipeKind.INLINE), Position(), Position(), part=part)
            self.dispatcher.add(Outgoing(ticket, b"payload"))

    async def until(self, ready: object) -> None:
        async with asyncio.timeout(5):
            while not ready():  # type: ignore[operator]  # noqa: ASYNC110 - the board tells nobody
                await asyncio.sleep(0)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    made.dispatcher.begin(EPOCH, PipelineParameters(parallelism=3, lb_algorithm=LbAlgorithm.ROUND_ROBIN))
    pushing = asyncio.create_task(made.dispatcher.push_for_ever())
    yield made
    for task in (pushing, *(loader.serving for loader in made.loaders)):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Retryable):
            await task


async def test_nothing_is_pushed_before_a_load_side_said_hello(desk: Desk) -> None:
    desk.add(1)
    loader = await desk.loader(3)
    assert await loader.pushed() == 1
    assert desk.addressed == [(1, 3)]


async def test_load_sides_take_turns_and_hear_of_each_other(desk: Desk) -> None:
    one, two = await desk.loader(3), await desk.loader(4)
    desk.add(1, 2)
    assert (await one.pushed(), await two.pushed()) == (1, 2)
    await one.ends(1)
    assert await two.next() == Loaded(EPOCH, 1)
    assert desk.acked == [1]


async def test_the_window_has_room_again_when_one_ended(desk: Desk) -> None:
    loader = await desk.loader(3)
    desk.add(1, 2, 3)
    room = asyncio.create_task(desk.dispatcher.room())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(room), 0.1)
    await loader.ends(1)
    await asyncio.wait_for(room, 5)


async def test_pieces_that_are_held_leave_room(desk: Desk) -> None:
    loader = await desk.loader(3)
    desk.add(1, part=Part.FIRST)
    desk.add(2, 3, part=Part.MIDDLE)
    for number in (1, 2, 3):
        await loader.ends(number, TerminType.HELD)
    await asyncio.wait_for(desk.dispatcher.room(), 5)
    assert desk.acked == []
    desk.add(4, part=Part.LAST)
    await loader.ends(4)
    await desk.until(lambda: desk.acked == [1, 2, 3, 4])


async def test_what_a_lost_load_side_had_goes_to_another(desk: Desk) -> None:
    one, two = await desk.loader(3), await desk.loader(4)
    desk.add(1)
    assert await one.pushed() == 1
    await one.link.close()
    assert await two.pushed() == 1


async def test_a_hello_acks_what_the_target_has(desk: Desk) -> None:
    one = await desk.loader(3)
    desk.add(1, 2)
    assert (await one.pushed(), await one.pushed()) == (1, 2)
    await one.link.close()
    again = await desk.loader(3, number=1)
    assert await again.pushed() == 2
    assert desk.acked == [1]


async def test_a_hello_of_an_older_epoch_counts_for_nothing(desk: Desk) -> None:
    loader = Loader(desk.dispatcher, 3)
    desk.loaders.append(loader)
    await loader.hello(epoch=EPOCH - 1)
    desk.add(1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(loader.pushed(), 0.1)
    assert desk.dispatcher.greeted == ()


async def test_a_termin_of_an_older_epoch_counts_for_nothing(desk: Desk) -> None:
    loader = await desk.loader(3)
    desk.add(1)
    assert await loader.pushed() == 1
    await loader.ends(1, epoch=EPOCH - 1)
    await loader.ends(0)
    await asyncio.sleep(0)
    assert desk.acked == [] and not desk.dispatcher.idle


@pytest.mark.parametrize("kind", [TerminType.RESEND, TerminType.ROLLBACK])
async def test_a_batch_that_cannot_be_loaded_ends_the_attempt(kind: TerminType) -> None:
    desk = Desk()
    desk.dispatcher.begin(EPOCH, PipelineParameters())
    pushing = asyncio.create_task(desk.dispatcher.push_for_ever())
    loader = await desk.loader(3)
    desk.add(1)
    assert await loader.pushed() == 1
    await loader.ends(1, kind)
    with pytest.raises(Retryable, match="batch 1 is made again from the binlog"):
        await asyncio.wait_for(pushing, 5)
    assert [outgoing.ticket.number for outgoing in desk.dispatcher.end()] == [1]
    loader.serving.cancel()
