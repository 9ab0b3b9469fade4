"""The load side: links to whoever selects, brings batches, applies them in order, sends termins.

Three loops and one picture: the link loop follows the mainstem and takes tickets in; the work loop asks
:func:`otter.arbitrate.plan.plan_load` and carries out its moves; the watch says how we are doing. What was handed over
is loaded even while the link (or ZooKeeper) is away. A Welcome with a new epoch forgets everything older: the target's
mark, raised to that epoch, is what both sides go on from.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from otter.arbitrate import mainstem
from otter.arbitrate.board import Apply, Drop, Fetch, LoadBoard, Ride
from otter.arbitrate.plan import plan_load
from otter.dialect import source
from otter.dialect.connection import Connection
from otter.errors import Backoff, OtterError, Retryable
from otter.load.stage import Applied, Loader, Prepared
from otter.model.batch import Part
from otter.model.process import Mainstem, Mark, Termin, TerminType, Ticket
from otter.model.stats import BatchView, Check, SideReport, State
from otter.node.addresses import rpc_url
from otter.node.bootstrap import Bootstrap, socket_of
from otter.node.progress import LoadProgress
from otter.node.side import Side
from otter.pipe.aria2 import address_in
from otter.pipe.downloader import Downloader
from otter.pipe.htdocs import Htdocs
from otter.pipe.inbox import Inbox
from otter.rpc.client import Peer
from otter.rpc.link import Link, LinkClosed, WebSocketWire, Wire, open_unix
from otter.rpc.messages import Connect, Ended, Hello, Leaving, Loaded, Pulse, PulseBack, Push, Welcome
from otter.transform.stage import Transformer
from otter.zk.session import Session

log = logging.getLogger("otter.node.load")

T = TypeVar("T")

#: Seconds between words to a target that has nothing to do.
KEEP_ALIVE = 15.0
#: Seconds between pulses on the link.
PULSE = 1.0
#: Seconds without a word from the select side after which the link counts as dead.
LINK_SILENT = 15.0


@dataclass
class Incoming:
    """A ticket that came in, and what has been done about it."""

    ticket: Ticket
    payload: bytes
    fetching: asyncio.Task[None] | None = None
    prepared: Prepared | None = None
    at: float = field(default_factory=time.time)

    @property
    def ride(self) -> Ride:
        fetching = self.fetching is not None and self.prepared is None
        return Ride(self.ticket.number, self.ticket.part, fetching, self.prepared is not None)


class LoadSide(Side):
    waits_for_permit = False

    def __init__(self, boot: Bootstrap) -> None:
        super().__init__(boot)
        self._apply_thread = ThreadPoolExecutor(1, "apply")
        self._prepare_thread = ThreadPoolExecutor(1, "prepare")
        self._rides: dict[int, Incoming] = {}
        self._bell = asyncio.Event()
        self._idle = asyncio.Event()  # set while nothing is under way
        self._link: Link | None = None
        self._seat = Mainstem(0, 0)
        self._loader: Loader  # these three are made by each attempt
        self._inbox: Inbox
        self._transformer: Transformer
        self._mark = Mark()
        self._loaded = 0  # last number the target has, or that we hold open
        self._holding = False  # pieces of a giant transaction are applied and not committed
        self._applying: Ticket | None = None
        self._failure: OtterError | None = None  # what a fetch found that ends the attempt
        self._board_lock = asyncio.Lock()  # taken while the target is being changed or asked for its mark
        self._clock_offset = 0.0  # select node's clock minus ours
        self._progress = LoadProgress()

    # -- attempt ------------------------------------------------------------------------------------------------

    async def attempt(self, session: Session) -> None:
        if trouble := self._progress.target_error:
            self.say(State.HELD_UP, f"held up by target: {trouble}")
        else:
            self.say(State.STARTING, "connects to the target")
        self._rides.clear()
        self._holding, self._applying, self._failure = False, None, None
        async with contextlib.AsyncExitStack() as stack:
            self._loader = Loader(self.task, self.boot.nid)
            stack.push_async_callback(self._on_apply_thread, self._loader.close)
            self._take_mark(await self._on_apply_thread(self._loader.open))
            self._progress.parked = self._loader.parked_keys
            downloader = Downloader(lambda: address_in(self.boot.aria2_conf), self.boot.download)
            await stack.enter_async_context(downloader)
            self._inbox = Inbox(
                self.task.channel_id, self.task.id, downloader, Htdocs(self.boot.download, name="download")
            )
            self._transformer = Transformer(self.task)
            await self._run_parts(session)

    async def _run_parts(self, session: Session) -> None:
        parts = [
            asyncio.create_task(self._link_for_ever(session), name="link"),
            asyncio.create_task(self._work_for_ever(), name="work"),
            asyncio.create_task(self._watch_for_ever(), name="watch"),
            asyncio.create_task(self._keep_alive_for_ever(), name="keep alive"),
        ]
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in done:
                part.result()
        finally:
            fetches = [ride.fetching for ride in self._rides.values() if ride.fetching]
            for task in [*parts, *fetches]:
                task.cancel()
            await asyncio.gather(*parts, *fetches, return_exceptions=True)

    async def drain(self) -> None:
        """What came in is loaded first; nothing new comes."""
        if self._link is not None:
            with contextlib.suppress(LinkClosed):
                await self._link.send(Leaving())
        await self._idle.wait()

    async def _on_apply_thread(self, work: Callable[..., T], *args: object) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._apply_thread, work, *args)
        except Retryable as error:
            self._progress.target_error = str(error)
            raise

    def _take_mark(self, mark: Mark) -> None:
        """What is held and not committed is forgotten by now."""
        self._progress.held.clear()
        self._mark, self._loaded = mark, mark.number
        self._progress.loaded.begin(mark.position, mark.number)

    # -- the link -------------------------------------------------------------------------------------------------

    async def _link_for_ever(self, session: Session) -> None:
        """Follows the mainstem: one link after the other."""
        backoff = Backoff(0.05, 3.0)
        while True:
            bell = asyncio.Event()
            try:
                seat = await mainstem.read(session, self.task.channel_id, self.task.id, bell)
                if not seat.nid:
                    self.say(State.STANDBY, "waits for a select side to take the mainstem")
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(10):
                            await bell.wait()
                    continue
                self._seat = seat
                async with self._linked(seat) as link:
                    backoff.reset()
                    await self._serve(link)
            except (LinkClosed, Retryable, TimeoutError) as error:
                if isinstance(error, Retryable) and not isinstance(error, LinkClosed):
                    self._progress.link_error = str(error)
                await backoff.pause()

    @contextlib.asynccontextmanager
    async def _linked(self, seat: Mainstem) -> AsyncIterator[Link]:
        peer: Peer | None = None
        wire: Wire
        if seat.nid == self.boot.nid:
            wire = await open_unix(socket_of(self.boot.sockets, "select", self.task.id))
        else:
            node = self.nodes.get(seat.nid)
            if node is None:
                raise Retryable(f"node {seat.nid} selects and is not in our configuration yet")
            peer = Peer(rpc_url(node, self.task.parameters.use_external_ip), self.boot.key)
            wire = WebSocketWire(
                await peer.websocket(f"/rpc/v1/pipelines/{self.task.id}/link", max_size=self.boot.payload + (64 << 20))
            )
        link = Link(wire)
        try:
            await link.send(Connect("load", self.boot.nid))
            self._progress.link_error = ""
            yield link
        finally:
            self._link = None
            await link.close()
            if peer:
                await peer.close()

    async def _serve(self, link: Link) -> None:
        pulse = asyncio.create_task(self._pulse(link))
        try:
            while True:
                async with asyncio.timeout(LINK_SILENT):
                    message, payload = await link.receive()
                match message:
                    case Welcome(epoch=epoch):
                        await self._welcomed(link, epoch)
                    case Push(ticket) if ticket.epoch == self._mark.epoch:
                        self._rides.setdefault(ticket.number, Incoming(ticket, payload))
                        self._bell.set()
                    case Loaded(epoch, number) if epoch == self._mark.epoch and not self._holding:
                        self._loaded = max(self._loaded, number)
                        self._bell.set()
                    case PulseBack(sent, received):
                        self._clock_offset = self._progress.clock.heard(sent, received, time.time())
        finally:
            pulse.cancel()

    async def _pulse(self, link: Link) -> None:
        with contextlib.suppress(LinkClosed):
            while True:
                await link.send(Pulse(time.time()))
                await asyncio.sleep(PULSE)

    async def _welcomed(self, link: Link, epoch: int) -> None:
        """Raises the target's mark to ``epoch`` and says what the target has. Older tickets are forgotten."""
        if epoch != self._mark.epoch:
            for ride in self._rides.values():
                if ride.fetching:
                    ride.fetching.cancel()
            self._rides.clear()
        async with self._board_lock:
            await self._on_apply_thread(self._loader.rollback)
            self._holding = False
            self._take_mark(await self._on_apply_thread(self._loader.claim, epoch))
        self._link = link
        await link.send(Hello(self.boot.nid, self.pid, self._mark))
        self._bell.set()

    async def _tell(self, termin: Termin) -> None:
        if self._link is not None:
            with contextlib.suppress(LinkClosed):
                await self._link.send(Ended(termin))

    # -- the work -------------------------------------------------------------------------------------------------

    async def _work_for_ever(self) -> None:
        while True:
            self._bell.clear()
            if self._failure is not None:
                raise self._failure
            for move in plan_load(self._board()):
                match move:
                    case Drop(number):
                        await self._drop(number)
                    case Fetch(number):
                        ride = self._rides[number]
                        ride.fetching = asyncio.create_task(self._fetch(ride))
                    case Apply(number):
                        await self._apply(self._rides[number])
                        self._bell.set()
            (self._idle.clear if self._rides else self._idle.set)()
            await self._bell.wait()

    def _board(self) -> LoadBoard:
        rides = tuple(self._rides[number].ride for number in sorted(self._rides))
        return LoadBoard(rides, self._loaded, self.task.parameters.parallelism)

    async def _drop(self, number: int) -> None:
        """The target has it already (it came again, or another load side was quicker): say so."""
        ride = self._rides.pop(number)
        if ride.fetching:
            ride.fetching.cancel()
        if number <= self._mark.number:
            await self._tell(Termin(ride.ticket.epoch, number, TerminType.NORMAL, time.time()))

    async def _fetch(self, ride: Incoming) -> None:
        """Brings the bytes, checks, maps and prepares them; twice, then select makes the batch again."""
        for last in (False, True):
            try:
                local = self.boot.htdocs if self._seat.nid == self.boot.nid else None
                split = self.task.parameters.download_split
                batch = await self._inbox.get(ride.ticket, ride.payload, local, split=split)
                batch = self._transformer.transform(batch)
                loop = asyncio.get_running_loop()
                ride.prepared = await loop.run_in_executor(self._prepare_thread, self._loader.prepare, batch)
                ride.payload = b""
                self._bell.set()
                return
            except Retryable as error:
                self._progress.link_error = str(error)
                if last:
                    self._rides.pop(ride.ticket.number, None)
                    await self._tell(_termin(ride.ticket, TerminType.RESEND, error))
            except OtterError as error:
                self._failure = error
                self._bell.set()
                return

    async def _apply(self, ride: Incoming) -> None:
        assert ride.prepared is not None  # noqa: S101 - the plan applies what is ready
        ticket = ride.ticket
        async with self._board_lock:
            if self._rides.get(ticket.number) is not ride:  # a Welcome came in between
                return
            self._applying = ticket
            try:
                applied = await self._on_apply_thread(self._loader.apply, ride.prepared)
            finally:
                self._applying = None
            del self._rides[ticket.number]
            self._loaded = ticket.number
            self._holding = ticket.part in {Part.FIRST, Part.MIDDLE}
            if not self._holding:
                self._mark = Mark(ticket.epoch, ticket.number, ticket.end)
        await self._applied(ticket, applied)
        if self._seat.nid != self.boot.nid:
            await asyncio.to_thread(self._inbox.remove, ticket.key)

    async def _applied(self, ticket: Ticket, applied: Applied) -> None:
        if self._holding:
            self._progress.held_piece(ticket, applied.conflicts)
            await self._tell(Termin(ticket.epoch, ticket.number, TerminType.HELD))
            return
        delay = max(0.0, applied.applied_at + self._clock_offset - ticket.committed) if ticket.committed else 0.0
        self._progress.loaded_batch(ticket, applied.conflicts, delay)
        self._progress.parked = self._loader.parked_keys
        await self._tell(Termin(ticket.epoch, ticket.number, TerminType.NORMAL, applied.applied_at, delay))

    # -- watching ---------------------------------------------------------------------------------------------------

    async def _keep_alive_for_ever(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE)
            async with self._board_lock:
                await self._on_apply_thread(self._loader.keep_alive)

    async def _watch_for_ever(self) -> None:
        while True:
            await asyncio.sleep(PULSE)
            if self._link is not None or self._rides:
                since = min((ride.at for ride in self._rides.values()), default=0.0)
                self.say(*self._progress.verdict(self._applying, tuple(self._rides), self._link is not None, since))
            elif self._progress.link_error:
                self.say(State.HELD_UP, f"held up by the link: {self._progress.link_error}")

    async def examine(self) -> list[Check]:
        def look() -> list[Check]:
            with Connection(self.task.target) as connection:
                return source.check(connection, "target")

        return await asyncio.to_thread(look)

    def report(self) -> SideReport:
        in_flight = tuple(self._view(self._rides[number]) for number in sorted(self._rides))
        return self._progress.report(
            SideReport(
                pipeline_id=self.boot.pipeline_id, side="load", nid=self.boot.nid, pid=self.pid, state=self.state,
                epoch=self._mark.epoch, in_flight=in_flight,
            )
        )  # fmt: skip

    def _view(self, ride: Incoming) -> BatchView:
        ticket = ride.ticket
        stage = "applying" if ticket is self._applying else "ready" if ride.prepared else "fetching"
        age = max(0.0, time.time() + self._clock_offset - ticket.selected)
        return BatchView(
            number=ticket.number, stage=stage, pipe=ticket.key.kind.value, size=ticket.key.size, rows=ticket.rows,
            nid=self.boot.nid, age=age,
        )  # fmt: skip


def _termin(ticket: Ticket, kind: TerminType, error: OtterError) -> Termin:
    return Termin(ticket.epoch, ticket.number, kind, time.time(), error=str(error))
