"""How far each stage is, how fast, and in one sentence what holds it up (D8). Numbers and pure judgement, no I/O."""

from __future__ import annotations

import collections
import time
from dataclasses import dataclass, field

import msgspec

from otter.binlog import position as positions
from otter.model.batch import Position
from otter.model.process import PipeKind, Termin, Ticket
from otter.model.stats import BatchView, SideReport, StageProgress, State

#: Seconds a batch may be on its way before it is said to hold things up.
SLOW = 10.0
#: Seconds of delay above which we say "catching up".
BEHIND = 5.0


class Rate:
    """Events a second over the last five seconds."""

    WINDOW = 5

    def __init__(self) -> None:
        self.total = 0
        self._buckets: collections.OrderedDict[int, int] = collections.OrderedDict()

    def add(self, count: int) -> None:
        self.total += count
        second = int(time.monotonic())
        self._buckets[second] = self._buckets.get(second, 0) + count
        while len(self._buckets) > self.WINDOW + 1:
            self._buckets.popitem(last=False)

    def per_second(self) -> float:
        """Whole seconds only: the current one is not over yet."""
        now = int(time.monotonic())
        return sum(count for at, count in self._buckets.items() if now - self.WINDOW <= at < now) / self.WINDOW


class Quantiles:
    """Median and 99th percentile of the last 2,000 values."""

    def __init__(self) -> None:
        self._values: collections.deque[float] = collections.deque(maxlen=2000)

    def add(self, value: float) -> None:
        self._values.append(value)

    def at(self, share: float) -> float:
        if not self._values:
            return 0.0
        ordered = sorted(self._values)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass
class Reached:
    """Where a stage is, and when it last moved."""

    position: Position = field(default_factory=Position)
    number: int = 0
    at: float = 0.0

    def move(self, position: Position, number: int) -> None:
        self.position, self.number, self.at = position, number, time.time()

    def begin(self, position: Position, number: int) -> None:
        """It is there, but not because it moved: that somebody else has brought it so far is no progress of ours."""
        self.position, self.number = position, number

    def view(self) -> StageProgress:
        return StageProgress(position=positions.describe(self.position), number=self.number, at=self.at)


@dataclass
class Counters:
    """What both sides count over the life of their process."""

    rate: Rate = field(default_factory=Rate)
    delays: Quantiles = field(default_factory=Quantiles)
    delay: float = 0.0
    transactions: int = 0
    bytes: int = 0
    pipes: dict[PipeKind, int] = field(default_factory=lambda: dict.fromkeys(PipeKind, 0))

    def count(self, ticket: Ticket) -> None:
        self.rate.add(ticket.rows)
        self.bytes += ticket.key.size
        self.pipes[ticket.key.kind] += 1

    def late(self, delay: float) -> None:
        self.delay = delay
        self.delays.add(delay)

    def counted(self, base: SideReport) -> SideReport:
        """``base`` with these figures."""
        return msgspec.structs.replace(
            base, delay=self.delay, delay_p50=self.delays.at(0.5), delay_p99=self.delays.at(0.99),
            rows=self.rate.total, rows_per_second=self.rate.per_second(), transactions=self.transactions,
            bytes=self.bytes, batches_memory=self.pipes[PipeKind.MEMORY],
            batches_inline=self.pipes[PipeKind.INLINE], batches_file=self.pipes[PipeKind.FILE],
        )  # fmt: skip


@dataclass
class SelectProgress(Counters):
    """The select side's numbers of one epoch."""

    epoch: int = 0
    head: Position = field(default_factory=Position)
    head_at: float = 0.0
    selected: Reached = field(default_factory=Reached)
    extracted: Reached = field(default_factory=Reached)
    shipped: Reached = field(default_factory=Reached)
    loaded: Reached = field(default_factory=Reached)
    acked: Reached = field(default_factory=Reached)

    def saw_head(self, head: Position) -> None:
        if head != self.head:
            self.head, self.head_at = head, time.time()

    def shipped_batch(self, ticket: Ticket, transactions: int) -> None:
        self.count(ticket)
        self.transactions += transactions

    def acked_batch(self, ticket: Ticket, termin: Termin | None) -> None:
        self.acked.move(ticket.end, ticket.number)
        self.loaded.move(ticket.end, ticket.number)
        if termin and ticket.rows:
            self.late(termin.delay)

    def verdict(
        self, in_flight: tuple[BatchView, ...], greeted: tuple[int, ...], read: Position, source_error: str
    ) -> tuple[State, str]:
        """The state in words, from where things are; asked every two seconds."""
        oldest = in_flight[0] if in_flight else None
        behind = not positions.contains(read, self.head)
        if source_error:
            held = f"source: {source_error}"
        elif not greeted:
            held = "load: no load side is linked in"
        elif oldest and oldest.age > SLOW:
            held = f"{'load' if oldest.nid else 'the link'}: batch {oldest.number} is on its way for {oldest.age:.0f} s"
        elif behind and not oldest and time.time() - max(self.selected.at, self.head_at) > SLOW:
            held = "select: the source has more, nothing is read"
        elif behind and self.delay > BEHIND:
            return State.CATCHING_UP, f"catching up, {self.delay:.0f} s behind"
        else:
            return State.RUNNING, "running" if oldest or self.rate.per_second() else "running, waiting for source"
        return State.HELD_UP, f"held up by {held}"

    def report(self, base: SideReport) -> SideReport:
        head = StageProgress(position=positions.describe(self.head), at=self.head_at)
        return msgspec.structs.replace(
            self.counted(base), head=head, selected=self.selected.view(), extracted=self.extracted.view(),
            shipped=self.shipped.view(), loaded=self.loaded.view(), acked=self.acked.view(),
        )  # fmt: skip


class Clock:
    """The other node's clock minus ours, from pulses: of the last minute's, the one with the shortest round trip."""

    def __init__(self) -> None:
        self._samples: collections.deque[tuple[float, float]] = collections.deque(maxlen=60)

    def heard(self, sent: float, received: float, back: float) -> float:
        self._samples.append((back - sent, received - (sent + back) / 2))
        return min(self._samples)[1]


@dataclass
class LoadProgress(Counters):
    """The load side's numbers; counters of this process."""

    loaded: Reached = field(default_factory=Reached)
    clock: Clock = field(default_factory=Clock)
    conflicts: int = 0
    parked: int = 0  # keys that wait in retl.otter_parked
    link_error: str = ""
    target_error: str = ""  # what ended the last try to load
    held: list[tuple[Ticket, int]] = field(default_factory=list)  # pieces that count once the last one is committed

    def held_piece(self, ticket: Ticket, conflicts: int) -> None:
        self.held.append((ticket, conflicts))

    def loaded_batch(self, ticket: Ticket, conflicts: int, delay: float) -> None:
        self.loaded.move(ticket.end, ticket.number)
        self.target_error = ""
        self.transactions += ticket.transactions
        for piece, found in [*self.held, (ticket, conflicts)]:
            self.count(piece)
            self.conflicts += found
        self.held.clear()
        if ticket.rows:
            self.late(delay)

    def verdict(
        self, applying: Ticket | None, waiting: tuple[int, ...], linked: bool, since: float
    ) -> tuple[State, str]:
        """The state in words; ``since``: when the oldest batch that is not loaded came in (epoch seconds)."""
        still = time.time() - max(self.loaded.at, since)
        if not linked:
            return State.HELD_UP, f"held up by the link: {self.link_error or 'no select side is linked'}"
        if waiting and self.target_error:
            return State.HELD_UP, f"held up by target: {self.target_error}"
        if applying and still > SLOW:
            return State.HELD_UP, f"held up by target: batch {applying.number} ({applying.rows} rows) is being applied"
        if waiting and still > SLOW:
            return State.HELD_UP, f"held up by the link: batch {min(waiting)} is being fetched {self.link_error}"
        if self.delay > BEHIND and waiting:
            return State.CATCHING_UP, f"catching up, {self.delay:.0f} s behind"
        parked = f", parked rows: {self.parked}" if self.parked else ""
        return State.RUNNING, f"running{parked}"

    def report(self, base: SideReport) -> SideReport:
        return msgspec.structs.replace(
            self.counted(base), loaded=self.loaded.view(), conflicts=self.conflicts, parked=self.parked
        )  # fmt: skip
