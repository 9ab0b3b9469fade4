"""What a side says of itself, from where things are."""

from __future__ import annotations

import time
from typing import Any

import pytest

from otter.model.batch import Position
from otter.model.process import PipeKey, PipeKind, Termin, TerminType, Ticket
from otter.model.stats import BatchView, State
from otter.node.progress import SLOW, Clock, LoadProgress, Quantiles, Rate, SelectProgress

HERE, AHEAD = Position("0-1-5"), Position("0-1-9")


def flight(age: float, nid: int = 3) -> BatchView:
    return BatchView(number=4, stage="shipped", pipe="file", size=1, rows=1, nid=nid, age=age)


def ticket(number: int, rows: int = 10) -> Ticket:
    return Ticket(1, number, PipeKey(PipeKind.INLINE, 100), HERE, AHEAD, rows, 2)


def select(head: Position = HERE, still: float = 0.0, delay: float = 0.0) -> SelectProgress:
    progress = SelectProgress(head=head, head_at=time.time() - still, delay=delay)
    progress.selected.at = time.time() - still
    return progress


@pytest.mark.parametrize(
    ("progress", "in_flight", "greeted", "error", "state", "words"),
    [
        (select(), (), (3,), "", State.RUNNING, "waiting for source"),
        (select(), (flight(1),), (3,), "", State.RUNNING, "running"),
        (select(), (), (), "", State.HELD_UP, "held up by load: no load side is linked in"),
        (select(), (), (3,), "refused", State.HELD_UP, "held up by source: refused"),
        (select(), (flight(SLOW + 1),), (3,), "", State.HELD_UP, "held up by load: batch 4"),
        (select(), (flight(SLOW + 1, nid=0),), (3,), "", State.HELD_UP, "held up by the link: batch 4"),
        (select(AHEAD, still=SLOW + 1), (), (3,), "", State.HELD_UP, "held up by select"),
        (select(AHEAD, delay=30), (flight(1),), (3,), "", State.CATCHING_UP, "30 s behind"),
        (select(AHEAD, delay=1), (flight(1),), (3,), "", State.RUNNING, "running"),
    ],
)
def test_select_verdict(
    progress: SelectProgress, in_flight: Any, greeted: Any, error: str, *, state: State, words: str
) -> None:
    said = progress.verdict(in_flight, greeted, HERE, error)
    assert said[0] is state and words in said[1]


@pytest.mark.parametrize(
    ("numbers", "applying", "waiting", "since", "state", "words"),
    [
        ({}, None, (), 0, State.RUNNING, "running"),
        ({"parked": 3}, None, (), 0, State.RUNNING, "parked rows: 3"),
        ({}, ticket(4), (4,), SLOW + 1, State.HELD_UP, "held up by target: batch 4"),
        ({}, None, (5, 4), SLOW + 1, State.HELD_UP, "held up by the link: batch 4"),
        ({}, ticket(4), (4,), 1, State.RUNNING, "running"),  # after an idle hour, too
        ({"target_error": "lock wait"}, ticket(4), (4,), 1, State.HELD_UP, "held up by target: lock wait"),
        ({"target_error": "lock wait"}, None, (), 1, State.RUNNING, "running"),
        ({"delay": 30.0}, None, (4,), 1, State.CATCHING_UP, "30 s behind"),
    ],
)
def test_load_verdict(numbers: Any, applying: Any, waiting: Any, since: float, *, state: State, words: str) -> None:
    progress = LoadProgress(**numbers)
    progress.loaded.at = time.time() - 3600
    said = progress.verdict(applying, waiting, True, time.time() - since)
    assert said[0] is state and words in said[1]


@pytest.mark.parametrize(("error", "words"), [("", "no select side is linked"), ("n1 is gone", "n1 is gone")])
def test_a_load_side_without_a_link_says_so(error: str, words: str) -> None:
    said = LoadProgress(link_error=error).verdict(None, (), False, 0.0)
    assert said[0] is State.HELD_UP and f"held up by the link: {words}" in said[1]


def test_counters_grow_with_batches() -> None:
    progress = LoadProgress()
    progress.loaded_batch(ticket(1), 1, 0.5)
    progress.loaded_batch(ticket(2, rows=0), 0, 9.0)  # only the position moved: that is no delay
    assert (progress.rate.total, progress.transactions, progress.bytes) == (10, 4, 200)
    assert (progress.conflicts, progress.delay) == (1, 0.5)
    assert progress.pipes[PipeKind.INLINE] == 2 and progress.loaded.number == 2


def test_pieces_count_when_the_last_one_is_committed() -> None:
    progress = LoadProgress()
    progress.held_piece(ticket(1), 1)
    progress.held_piece(ticket(2), 0)
    assert progress.rate.total == 0
    progress.loaded_batch(ticket(3), 0, 0.5)
    progress.loaded_batch(ticket(4), 0, 0.5)
    assert (progress.rate.total, progress.conflicts, progress.transactions) == (40, 1, 4)


def test_acked_takes_the_delay_of_the_termin() -> None:
    progress = SelectProgress()
    progress.acked_batch(ticket(1), Termin(1, 1, TerminType.NORMAL, delay=0.25))
    progress.acked_batch(ticket(2), None)  # told by a mark: nobody knows the delay
    assert (progress.delay, progress.acked.number, progress.acked.position) == (0.25, 2, AHEAD)


def test_quantiles() -> None:
    values = Quantiles()
    assert values.at(0.5) == 0.0
    for number in range(100):
        values.add(float(number))
    assert (values.at(0.5), values.at(0.99)) == (50.0, 99.0)


def test_rate_forgets_after_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    rate, now = Rate(), 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    for _ in range(10):
        rate.add(50)
        now += 1
    assert (rate.total, rate.per_second()) == (500, 50.0)
    now += 6
    assert rate.per_second() == 0.0


def test_clock_believes_the_shortest_round_trip() -> None:
    clock = Clock()
    assert clock.heard(100.0, 108.0, 100.4) == pytest.approx(7.8)
    assert clock.heard(200.0, 207.51, 200.02) == pytest.approx(7.5)
    assert clock.heard(300.0, 309.0, 301.0) == pytest.approx(7.5)
