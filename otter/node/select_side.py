"""The select side: holds the mainstem, reads, packs, lets the dispatcher push, moves the cursor.

An attempt begins with the target's truth: load sides that link in tell the mark, and reading starts there. Under the
seat's epoch up to ``parallelism`` batches are on their way. Anything that cannot be mended in place ends the attempt,
and the next one begins from the mark again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

import msgspec

from otter.arbitrate.mainstem import mainstem
from otter.binlog import position as positions
from otter.dialect import source
from otter.dialect.connection import Connection
from otter.errors import LeaseLost, OtterError, Retryable
from otter.extract.stage import Extractor
from otter.model.batch import Batch, Part, Position
from otter.model.process import Mark, PipeKey, PipeKind, Termin, Ticket
from otter.model.stats import Check, SideReport, State
from otter.node.addresses import download_url
from otter.node.bootstrap import Bootstrap
from otter.node.dispatch import Dispatcher, Outgoing
from otter.node.lookout import Lookout
from otter.node.progress import SelectProgress
from otter.node.recorder import Recorder
from otter.node.side import Side
from otter.node.start import first_position
from otter.pipe import file
from otter.pipe.htdocs import Htdocs
from otter.pipe.outbox import Outbox
from otter.rpc.link import Link
from otter.select.stage import Selector
from otter.zk import paths
from otter.zk.session import Session

log = logging.getLogger("otter.node.select")

#: Seconds between looks at how far the source's binlog has got.
HEAD_EVERY = 2.0
#: Seconds to wait for the first load side before saying that none is there.
GREETING = 5.0


class SelectSide(Side):
    def __init__(self, boot: Bootstrap) -> None:
        super().__init__(boot)
        self._dispatch = Dispatcher(boot.nid, self._readdress, self._pushed, self._acked)
        self._htdocs = Htdocs(boot.htdocs, boot.htdocs_budget, boot.htdocs_ttl)
        self._selector: Selector | None = None
        self._recorder: Recorder | None = None
        self._outbox: Outbox | None = None
        self._floor = 0
        self._progress = SelectProgress()
        self._lookout: Lookout  # made by each attempt
        self._moved = asyncio.Condition()  # notified when acked moved

    async def load_linked(self, link: Link, nid: int) -> None:
        await self._dispatch.serve(link, nid)

    # -- attempt ------------------------------------------------------------------------------------------------

    async def attempt(self, session: Session) -> None:
        self.say(State.STANDBY, "another node selects, this one stands by")
        task = self.task
        async with mainstem(session, task.channel_id, task.id, self.boot.nid, self._floor) as epoch:
            self.say(State.STARTING, "has the mainstem, asks the target for its mark")
            self._dispatch.begin(epoch, task.parameters)
            self._progress.epoch = epoch
            base_url = download_url(self.nodes[self.boot.nid], task.parameters.use_external_ip)
            boot = self.boot
            self._outbox = Outbox(self._htdocs, lambda _: base_url, boot.key, boot.nid, payload=boot.payload)
            self._lookout = Lookout(task.source)
            try:
                async with Recorder(session, task.channel_id, task.id) as self._recorder:
                    await self._hold_seat(epoch)
            finally:
                await self._give_up()

    async def _hold_seat(self, epoch: int) -> None:
        await self._dispatch.welcome_all()
        mark = await self._first_mark()
        if mark.epoch > epoch:  # ZooKeeper was wiped: begin above what the target has seen
            self._floor = mark.epoch
            raise LeaseLost(f"the target has seen epoch {mark.epoch}, ours is {epoch}: taking a newer one")
        self._progress.head = head = await self._lookout.head()
        start = (
            await asyncio.to_thread(first_position, self.task, self._server_id(), head)
            if mark.is_new
            else mark.position
        )
        self._progress.acked.move(start, mark.number)
        log.info("pipeline %s: selects from %s under epoch %d", self.task.name, positions.describe(start), epoch)
        self._selector = Selector(self.task, self._server_id(), start)
        self._selector.open()
        await self._run_parts(self._selector, mark, start, epoch)

    async def _run_parts(self, selector: Selector, mark: Mark, start: Position, epoch: int) -> None:
        """The parallel parts of an attempt; the first that ends ends all."""
        parts = [
            asyncio.create_task(self._select_for_ever(selector, mark, start, epoch), name="select"),
            asyncio.create_task(self._dispatch.push_for_ever(), name="push"),
            asyncio.create_task(self._watch_for_ever(), name="watch"),
        ]
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in done:
                part.result()
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)

    async def _give_up(self) -> None:
        for outgoing in self._dispatch.end():
            self._remove_file(outgoing)
        if self._selector is not None:
            selector, self._selector = self._selector, None
            await selector.close()
        await self._lookout.close()

    async def drain(self) -> None:
        self._dispatch.draining = True
        while not self._dispatch.idle and self._dispatch.greeted:  # a stopped channel stops its load sides, too
            await self._dispatch.any_ack(1.0)

    def _server_id(self) -> int:
        """A replica id of our own for each pipeline and node: two readers under one id would cut each other off."""
        return 1_000_000_000 + (self.task.id % 1_000_000) * 1_000 + self.boot.nid % 1_000

    async def _first_mark(self) -> Mark:
        while True:
            try:
                async with asyncio.timeout(GREETING):
                    return await self._dispatch.marks.get()
            except TimeoutError:
                names = ", ".join(self.nodes[nid].name for nid in self.task.load_nids if nid in self.nodes)
                self.say(State.HELD_UP, f"held up by load: no load side of {names} has linked in")

    @property
    def _out(self) -> Outbox:
        assert self._outbox is not None  # noqa: S101 - an attempt made it
        return self._outbox

    # -- select, extract, pipe ----------------------------------------------------------------------------------

    async def _select_for_ever(self, selector: Selector, mark: Mark, start: Position, epoch: int) -> None:
        extractor, number = Extractor(self.task), mark.number
        if mark.is_new:  # pin the start: from here on a restart loses nothing
            number += 1
            await self._ship(extractor.extract([], [], start, start, epoch=epoch, number=number), time.time())
        while True:
            await self._dispatch.room()
            run = await selector.take()
            at = time.time()
            number += 1
            self._progress.selected.move(run.end, number)
            self._note_statements(selector)
            batch = extractor.extract(run.transactions, run.tables, run.start, run.end, epoch=epoch, number=number)
            self._progress.extracted.move(run.end, number)
            await self._ship(batch, at)

    async def _ship(self, batch: Batch, selected: float) -> None:
        """Packs a batch, chooses its pipe by where it will go, and lets the plan push it."""
        key, payload = await self._pack(batch, self._dispatch.next_loader())
        committed = batch.committed - self._lookout.clock_offset if batch.committed else 0.0
        ticket = Ticket(
            batch.epoch, batch.number, key, batch.start, batch.end, batch.rows, len(batch.transactions), batch.part,
            committed, selected,
        )  # fmt: skip
        self._progress.shipped_batch(ticket, sum(t.part in {Part.WHOLE, Part.LAST} for t in batch.transactions))
        self._dispatch.add(Outgoing(ticket, payload))

    async def _pack(self, batch: Batch, peer: int) -> tuple[PipeKey, bytes]:
        while True:
            try:
                return await self._out.put(batch, self.task.parameters, peer)
            except Retryable as full:  # htdocs/ is full: acks make room (back-pressure)
                self.say(State.HELD_UP, f"held up by htdocs: {full}")
                await self._dispatch.any_ack(1.0)

    async def _readdress(self, outgoing: Outgoing, nid: int) -> None:
        """A batch is about to go to ``nid``: a fresh URL, or another pipe when it was meant for this node's memory."""
        ticket = outgoing.ticket
        if ticket.key.kind is PipeKind.MEMORY and nid != self.boot.nid:
            batch = await asyncio.to_thread(file.decode, outgoing.payload)
            key, outgoing.payload = await self._pack(batch, nid)
        else:
            key = self._out.renew(ticket.key, nid)
        outgoing.ticket = msgspec.structs.replace(ticket, key=key)

    def _note_statements(self, selector: Selector) -> None:
        for sql in selector.statements():
            words = f"a schema change on the source is not replicated, apply it on the target by hand: {sql[:200]}"
            self.last_error, self.last_error_at = words, time.time()
            log.warning("pipeline %s: %s", self.task.name, words)

    # -- what the dispatcher tells --------------------------------------------------------------------------------

    def _pushed(self, ticket: Ticket) -> None:
        self._progress.shipped.move(ticket.end, ticket.number)
        if self._recorder:
            path = paths.process(self.task.channel_id, self.task.id, ticket.epoch, ticket.number)
            self._recorder.put(path, msgspec.json.encode(msgspec.structs.replace(ticket, key=_public(ticket.key))))

    def _acked(self, outgoing: Outgoing, termin: Termin | None) -> None:
        ticket = outgoing.ticket
        if ticket.part in {Part.WHOLE, Part.LAST}:
            self._progress.acked_batch(ticket, termin)
        self._remove_file(outgoing)
        if self._recorder:
            self._recorder.delete(paths.process(self.task.channel_id, self.task.id, ticket.epoch, ticket.number))
            self._recorder.put(paths.cursor(self.task.channel_id, self.task.id), msgspec.json.encode(ticket.end))
        self._wake()

    def _wake(self) -> None:
        async def notify() -> None:
            async with self._moved:
                self._moved.notify_all()

        self._job(notify())

    def _remove_file(self, outgoing: Outgoing) -> None:
        with contextlib.suppress(OSError):  # a file left behind goes with its time to live
            self._out.remove(outgoing.ticket.key)

    # -- watching ---------------------------------------------------------------------------------------------------

    async def _watch_for_ever(self) -> None:
        """Where the source is, and in one sentence how we are doing; independent of the working parts (D8)."""
        while True:
            try:
                self._progress.saw_head(await self._lookout.head())
                source_error = ""
            except OtterError as error:
                source_error = str(error)
            read = self._how_far_read()
            self.say(*self._progress.verdict(self._dispatch.in_flight, self._dispatch.greeted, read, source_error))
            await asyncio.sleep(HEAD_EVERY)

    def _how_far_read(self) -> Position:
        """Where nothing of what was read waits, select is that far: what lay in between was not for us."""
        selector = self._selector
        if selector is None:
            return Position()
        read = selector.read_position
        if not selector.waiting and read != self._progress.selected.position:
            self._progress.selected.move(read, self._progress.selected.number)
        return read

    async def wait_for(self, timeout: float) -> tuple[bool, str]:
        """True once the target has everything that the source's binlog holds now; else where it stands."""
        if self._selector is None:
            return False, self.words
        head = await self._lookout.head()
        deadline = time.monotonic() + timeout
        with self._selector.flushing():
            async with self._moved:
                while not positions.contains(self._progress.acked.position, head):
                    if self._selector is None:
                        return False, self.words
                    try:
                        async with asyncio.timeout(deadline - time.monotonic()):
                            await self._moved.wait()
                    except TimeoutError:
                        return False, (
                            f"the target is at {positions.describe(self._progress.acked.position)}, "
                            f"the source was at {positions.describe(head)}: {self.words}"
                        )
        return True, positions.describe(head)

    async def examine(self) -> list[Check]:
        def look() -> list[Check]:
            with Connection(self.task.source) as connection:
                return source.check(connection, "source")

        return await asyncio.to_thread(look)

    def report(self) -> SideReport:
        return self._progress.report(
            SideReport(
                pipeline_id=self.boot.pipeline_id, side="select", nid=self.boot.nid, pid=self.pid, state=self.state,
                epoch=self._dispatch.epoch, in_flight=self._dispatch.in_flight,
            )
        )  # fmt: skip


def _public(key: PipeKey) -> PipeKey:
    """A key without its signed address: znodes hold no secrets."""
    return msgspec.structs.replace(key, url="")
