"""Decisions as pure functions: one picture in, moves out. Tested with tables and random histories, without a server.

What holds whatever happens (crashed sides, cut links, doubled or late messages):

- numbers are loaded in order, each once (the target's mark is the last judge);
- a giant transaction's pieces all go to one load side, and all of them again when that side is gone;
- never more than ``parallelism`` batches are on their way, pieces that are applied and wait for their last not counted.
"""

from __future__ import annotations

from collections.abc import Iterator

from otter.arbitrate.balance import choose
from otter.arbitrate.board import Apply, Drop, Fetch, Flight, LoadBoard, LoadMove, Push, SelectBoard
from otter.model.batch import Part


def has_room(board: SelectBoard) -> bool:
    """May select make another batch?"""
    return sum(not flight.held for flight in board.flights) < board.parallelism


def plan_select(board: SelectBoard) -> list[Push]:
    """Which flights go to which load side now. Nothing while no load side is there."""
    moves: list[Push] = []
    last = board.last_nid
    staying = tuple(nid for nid in board.loaders if nid not in board.leaving)
    for group in _groups(board.flights):
        nid = _seat(group, board.loaders)
        if not nid:
            nid = choose(board.algorithm, staying, last)
            if not nid:
                break
            moves += [Push(flight.number, nid) for flight in group]
        else:
            moves += [Push(flight.number, nid) for flight in group if flight.nid != nid]
        last = nid
    return moves


def _groups(flights: tuple[Flight, ...]) -> Iterator[list[Flight]]:
    """Whole batches alone; the pieces of a giant transaction together."""
    group: list[Flight] = []
    for flight in flights:
        group.append(flight)
        if flight.part in {Part.WHOLE, Part.LAST}:
            yield group
            group = []
    if group:
        yield group


def _seat(group: list[Flight], loaders: tuple[int, ...]) -> int:
    """The live load side that has the whole group so far; 0 when it must be (re)assigned."""
    nid = group[0].nid
    return nid if nid in loaders else 0


def plan_load(board: LoadBoard) -> list[LoadMove]:
    """What a load side does with its rides now."""
    moves: list[LoadMove] = [Drop(ride.number) for ride in board.rides if ride.number <= board.loaded]
    ahead = [ride for ride in board.rides if ride.number > board.loaded]
    busy = sum(ride.fetching or ride.ready for ride in ahead)
    for ride in ahead:
        if not ride.fetching and not ride.ready and busy < board.parallelism:
            moves.append(Fetch(ride.number))
            busy += 1
        elif ride.ready and ride.number == board.loaded + 1 and not board.applying:
            moves.append(Apply(ride.number))
    return moves
