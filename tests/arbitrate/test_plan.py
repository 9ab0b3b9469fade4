"""The plan as a pure function: tables, and random histories with crashes, cut links and late messages."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

import pytest

from otter.arbitrate.balance import choose
from otter.arbitrate.board import Apply, Drop, Fetch, Flight, LoadBoard, Push, Ride, SelectBoard
from otter.arbitrate.plan import has_room, plan_load, plan_select
from otter.model.batch import Part
from otter.model.config import LbAlgorithm

F, M, L = Part.FIRST, Part.MIDDLE, Part.LAST


def board(*flights: Flight, loaders: tuple[int, ...] = (2, 3), parallelism: int = 3, last: int = 0) -> SelectBoard:
    return SelectBoard(flights, loaders, parallelism, LbAlgorithm.ROUND_ROBIN, last)


@pytest.mark.parametrize(
    ("picture", "moves"),
    [
        (board(), []),
        (board(Flight(1), loaders=()), []),
        (board(Flight(1), Flight(2)), [Push(1, 2), Push(2, 3)]),
        (board(Flight(1, nid=2), Flight(2, nid=3)), []),
        (board(Flight(1, nid=9), Flight(2, nid=3)), [Push(1, 2)]),
        (board(Flight(1, F, 2), Flight(2, M), Flight(3, L)), [Push(2, 2), Push(3, 2)]),
        (board(Flight(1, F, 9, True), Flight(2, L, 9)), [Push(1, 2), Push(2, 2)]),
        (board(Flight(1, F, 2), Flight(2, L, 2), Flight(3)), [Push(3, 3)]),
        (SelectBoard((Flight(1, nid=2), Flight(2)), (2, 3), 3, last_nid=2, leaving=(2,)), [Push(2, 3)]),
        (SelectBoard((Flight(1, nid=2), Flight(2)), (2,), 3, leaving=(2,)), []),
    ],
)
def test_select(picture: SelectBoard, moves: list[Push]) -> None:
    assert plan_select(picture) == moves


def test_held_pieces_leave_room() -> None:
    assert has_room(board(Flight(1, F, 2, held=True), Flight(2, M, 2, held=True), Flight(3, M, 2), parallelism=2))
    assert not has_room(board(Flight(1), Flight(2), parallelism=2))


@pytest.mark.parametrize(
    ("picture", "moves"),
    [
        (LoadBoard((), 0, 3), []),
        (LoadBoard((Ride(1), Ride(2)), 0, 1), [Fetch(1)]),
        (LoadBoard((Ride(1, ready=True), Ride(2, ready=True)), 0, 3), [Apply(1)]),
        (LoadBoard((Ride(2, ready=True),), 0, 3), []),
        (LoadBoard((Ride(1, ready=True),), 0, 3, applying=True), []),
        (LoadBoard((Ride(1, ready=True), Ride(2)), 1, 3), [Drop(1), Fetch(2)]),
    ],
)
def test_load(picture: LoadBoard, moves: list[object]) -> None:
    assert plan_load(picture) == moves


def test_balance() -> None:
    assert choose(LbAlgorithm.STICK, (2, 3), 3) == 3
    assert choose(LbAlgorithm.STICK, (2, 3), 9) == 2
    assert choose(LbAlgorithm.ROUND_ROBIN, (2, 3), 3) == 2
    assert choose(LbAlgorithm.RANDOM, (2, 3), 0) in {2, 3}
    assert choose(LbAlgorithm.STICK, (), 3) == 0


# -- random histories ----------------------------------------------------------------------------------------------


@dataclass
class Target:
    """The database: its mark is a compare-and-set; ``seen`` is what was applied, in order."""

    mark: int = 0
    seen: list[int] = field(default_factory=list)

    def commit(self, numbers: list[int]) -> bool:
        if self.mark != numbers[0] - 1:
            return False
        self.seen += numbers
        self.mark = numbers[-1]
        return True


@dataclass
class Loader:
    """A load side that follows the plan; its transaction is open while it holds pieces."""

    nid: int
    target: Target
    linked: bool = True
    rides: dict[int, Ride] = field(default_factory=dict)
    loaded: int = 0
    open_pieces: list[int] = field(default_factory=list)

    def step(self, chance: random.Random, ended: list[tuple[int, int, bool]]) -> None:
        picture = LoadBoard(tuple(self.rides[number] for number in sorted(self.rides)), self.loaded, 2)
        for move in plan_load(picture):
            if move.number not in self.rides:  # a move before made us crash
                return
            match move:
                case Drop(number):
                    del self.rides[number]
                case Fetch(number) if chance.random() < 0.7:
                    self.rides[number] = replace(self.rides[number], ready=True)
                case Apply(number):
                    self.apply(self.rides.pop(number), ended)

    def apply(self, ride: Ride, ended: list[tuple[int, int, bool]]) -> None:
        self.open_pieces.append(ride.number)
        self.loaded = ride.number
        if ride.part in {Part.FIRST, Part.MIDDLE}:
            ended.append((self.nid, ride.number, True))
            return
        if not self.target.commit(self.open_pieces):
            self.crash()
            return
        self.open_pieces = []
        ended.append((self.nid, ride.number, False))

    def crash(self) -> None:
        self.rides, self.open_pieces, self.loaded = {}, [], self.target.mark


def history(seed: int) -> None:  # noqa: PLR0912 - one story, read top-down
    """One random run: batches and pieces are made, links cut, load sides crash, termins get lost; all must arrive."""
    chance = random.Random(seed)
    target = Target()
    loaders = [Loader(nid, target) for nid in (2, 3, 4)]
    flights: dict[int, Flight] = {}
    made, in_giant, last = 0, False, 0
    total = 60
    for _ in range(100_000):
        flights = {number: flight for number, flight in flights.items() if number > target.mark}
        live = tuple(loader.nid for loader in loaders if loader.linked)
        picture = SelectBoard(tuple(flights.values()), live, 3, chance.choice(list(LbAlgorithm)), last)
        if made < total and has_room(picture):
            made += 1
            if in_giant:
                part = M if chance.random() < 0.5 and made < total else L
            else:
                part = F if chance.random() < 0.2 and made < total else Part.WHOLE
            in_giant = part in {F, M}
            flights[made] = Flight(made, part)
        for push in plan_select(replace(picture, flights=tuple(flights.values()))):
            flights[push.number] = replace(flights[push.number], nid=push.nid, held=False)
            last = push.nid
            receiver = next(loader for loader in loaders if loader.nid == push.nid)
            receiver.rides.setdefault(push.number, Ride(push.number, flights[push.number].part))
        loader = chance.choice(loaders)
        dice = chance.random()
        if dice < 0.03:  # crash: it comes back with a fresh hello
            loader.crash()
            loader.linked = False
        elif dice < 0.08:
            loader.linked = not loader.linked
            if loader.linked:
                loader.crash()
        else:
            ended: list[tuple[int, int, bool]] = []
            loader.step(chance, ended)
            for nid, number, held in ended:
                if held and number in flights and flights[number].nid == nid:
                    flights[number] = replace(flights[number], held=True)
        for other in loaders:  # select tells every linked load side what is loaded
            if other.linked and not other.open_pieces:
                other.loaded = max(other.loaded, target.mark)
        if target.mark == total:
            break
    assert target.seen == list(range(1, total + 1)), f"seed {seed}: {target.seen}"


def test_random_histories() -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    for step in range(200):
        history(seed + step)
