"""The select side's board: batches on their way, load sides that linked in, who gets what, and the termins back.

Lives as long as the side; :meth:`begin` opens it for an epoch and :meth:`end` closes it. What happens on links only
changes the board and rings; :func:`otter.arbitrate.plan.plan_select` decides, :meth:`push_for_ever` carries it out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from otter.arbitrate.board import Flight, SelectBoard
from otter.arbitrate.plan import has_room, plan_select
from otter.errors import OtterError, Retryable
from otter.model.config import PipelineParameters
from otter.model.process import Mark, Termin, TerminType, Ticket
from otter.model.stats import BatchView
from otter.rpc.link import Link, LinkClosed
from otter.rpc.messages import Ended, Hello, Leaving, Loaded, Pulse, PulseBack, Push, Welcome

log = logging.getLogger("otter.node.dispatch")

#: Seconds without any word from a load side (they pulse every second) after which its link counts as dead.
LINK_SILENT = 15.0


@dataclass
class Outgoing:
    """A batch on its way: its ticket, the payload kept for another push, and where it went."""

    ticket: Ticket
    payload: bytes
    nid: int = 0
    held: bool = False

    @property
    def flight(self) -> Flight:
        return Flight(self.ticket.number, self.ticket.part, self.nid, self.held)

    def view(self) -> BatchView:
        return BatchView(
            number=self.ticket.number, stage="shipped" if self.nid else "extracted", pipe=self.ticket.key.kind.value,
            size=self.ticket.key.size, rows=self.ticket.rows, nid=self.nid, age=time.time() - self.ticket.selected,
        )  # fmt: skip


@dataclass
class Loader:
    """A load side that linked in. ``greeted``: it answered our Welcome under this epoch; ``leaving``: it stops."""

    nid: int
    link: Link
    greeted: bool = False
    leaving: bool = False


class Dispatcher:
    """``address(outgoing, nid)`` readies a batch for a load side; ``pushed`` and ``acked`` are told of what left and
    what ended (with its termin, unless a mark told it)."""

    def __init__(
        self,
        nid: int,
        address: Callable[[Outgoing, int], Awaitable[None]],
        pushed: Callable[[Ticket], None],
        acked: Callable[[Outgoing, Termin | None], None],
    ) -> None:
        self.nid = nid
        self._address = address
        self.epoch = 0  # 0 = no seat
        self.parameters = PipelineParameters()
        self.marks: asyncio.Queue[Mark] = asyncio.Queue()
        self.draining = False
        self._pushed, self._acked = pushed, acked
        self._loaders: dict[int, Loader] = {}
        self._out: dict[int, Outgoing] = {}
        self._last_nid = 0
        self._push_bell, self._room_bell = asyncio.Event(), asyncio.Event()
        self._failure: OtterError | None = None

    def begin(self, epoch: int, parameters: PipelineParameters) -> None:
        self.epoch, self.parameters = epoch, parameters
        self.draining, self._failure = False, None
        self.marks = asyncio.Queue()

    async def welcome_all(self) -> None:
        for loader in list(self._loaders.values()):
            await self._welcome(loader)

    def end(self) -> list[Outgoing]:
        """Gives up the epoch; returns what was on its way (its files are the caller's to remove)."""
        self.epoch = 0
        left, self._out = list(self._out.values()), {}
        for loader in self._loaders.values():
            loader.greeted = False
        return left

    # -- the board ----------------------------------------------------------------------------------------------

    @property
    def greeted(self) -> tuple[int, ...]:
        return tuple(nid for nid, loader in sorted(self._loaders.items()) if loader.greeted)

    @property
    def in_flight(self) -> tuple[BatchView, ...]:
        return tuple(self._out[number].view() for number in sorted(self._out))

    @property
    def idle(self) -> bool:
        """Nothing is with a load side."""
        return not any(outgoing.nid for outgoing in self._out.values())

    def board(self) -> SelectBoard:
        flights = tuple(self._out[number].flight for number in sorted(self._out))
        leaving = tuple(nid for nid, loader in self._loaders.items() if loader.leaving)
        parameters = self.parameters
        return SelectBoard(
            flights, self.greeted, parameters.parallelism, parameters.lb_algorithm, self._last_nid, leaving
        )  # fmt: skip

    def next_loader(self) -> int:
        """Where a batch that is shipped now will probably go (0: nobody is there)."""
        greeted = self.greeted
        return self._last_nid if self._last_nid in greeted else greeted[0] if greeted else 0

    def add(self, outgoing: Outgoing) -> None:
        self._out[outgoing.ticket.number] = outgoing
        self._ring()

    async def room(self) -> None:
        """Waits until the window has room for another batch."""
        while self.draining or not has_room(self.board()):
            await self._room_bell.wait()
            self._room_bell.clear()

    async def any_ack(self, timeout: float) -> None:
        """Waits for a change of the board, at most ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._room_bell.wait()
            self._room_bell.clear()
        except TimeoutError:
            pass

    def _ring(self) -> None:
        self._push_bell.set()
        self._room_bell.set()

    def _fail(self, error: OtterError) -> None:
        self._failure = self._failure or error
        self._ring()

    # -- pushing ------------------------------------------------------------------------------------------------

    async def push_for_ever(self) -> None:
        """Carries out the plan whenever the board changed; raises what ends the attempt."""
        while True:
            self._push_bell.clear()
            for move in plan_select(self.board()):
                if move.number in self._out:
                    await self._push(self._out[move.number], move.nid)
            await self._push_bell.wait()
            if self._failure is not None:
                raise self._failure

    async def _push(self, outgoing: Outgoing, nid: int) -> None:
        await self._address(outgoing, nid)
        loader = self._loaders.get(nid)
        if loader is None:
            return
        outgoing.ticket = msgspec.structs.replace(outgoing.ticket, shipped=time.time())
        outgoing.nid, outgoing.held, self._last_nid = nid, False, nid
        try:
            await loader.link.send(Push(outgoing.ticket), outgoing.payload)
        except LinkClosed:
            self._unlink(loader)
            return
        self._pushed(outgoing.ticket)

    # -- links --------------------------------------------------------------------------------------------------

    async def serve(self, link: Link, nid: int) -> None:
        """One load side's link, until it closes or falls silent."""
        loader = Loader(nid, link)
        if nid in self._loaders:
            await self._loaders[nid].link.close()
        self._loaders[nid] = loader
        try:
            if self.epoch:
                await self._welcome(loader)
            while True:
                async with asyncio.timeout(LINK_SILENT):
                    message, _ = await link.receive()
                match message:
                    case Pulse(sent):
                        await link.send(PulseBack(sent, time.time()))
                    case Hello(mark=mark) if self.epoch and mark.epoch >= self.epoch:
                        self._greet(loader, mark)
                    case Ended(termin):
                        await self._ended(loader, termin)
                    case Leaving():
                        loader.leaving = True
        except (LinkClosed, TimeoutError):
            pass
        finally:
            self._unlink(loader)

    async def _welcome(self, loader: Loader) -> None:
        loader.greeted = False
        try:
            await loader.link.send(Welcome(self.nid, self.epoch))
        except LinkClosed:
            self._unlink(loader)

    def _greet(self, loader: Loader, mark: Mark) -> None:
        """A hello: what it says the target has is acked; what it does not have will be pushed (again)."""
        loader.greeted = True
        for outgoing in self._out.values():
            if outgoing.nid == loader.nid:
                outgoing.nid, outgoing.held = 0, False
        self._ack_up_to(mark.number, None)
        self.marks.put_nowait(mark)
        self._ring()

    def _unlink(self, loader: Loader) -> None:
        if self._loaders.get(loader.nid) is loader:
            del self._loaders[loader.nid]
            self._ring()

    # -- termins ------------------------------------------------------------------------------------------------

    async def _ended(self, loader: Loader, termin: Termin) -> None:
        if termin.epoch != self.epoch:
            return
        match termin.type:
            case TerminType.NORMAL:
                self._ack_up_to(termin.number, termin)
                await self._tell_others(loader, termin.number)
            case TerminType.HELD:
                if termin.number in self._out and self._out[termin.number].nid == loader.nid:
                    self._out[termin.number].held = True
            case TerminType.RESEND | TerminType.ROLLBACK:
                self._fail(Retryable(f"batch {termin.number} is made again from the binlog: {termin.error}"))
        self._ring()

    def _ack_up_to(self, number: int, termin: Termin | None) -> None:
        for acked in sorted(out for out in self._out if out <= number):
            self._acked(self._out.pop(acked), termin)

    async def _tell_others(self, loader: Loader, number: int) -> None:
        for other in list(self._loaders.values()):
            if other is not loader and other.greeted:
                try:
                    await other.link.send(Loaded(self.epoch, number))
                except LinkClosed:
                    self._unlink(other)
