"""Levels: a change comes one level after the last earlier change that it collides with. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from enum import Enum

from otter.dialect.schema import ForeignKey
from otter.dialect.sql import Row
from otter.load.group import NO_FOREIGN_KEY_CHECKS, Decode, Entry, Group, grouped, runs
from otter.load.shape import Key, Shape, Token
from otter.model.batch import Change, Kind


class _Step(Enum):
    """What a change is to the keys."""

    INSERT = 1
    DELETE = 2
    MOVE = 3  # an UPDATE that changes a key
    PLAIN = 4  # an UPDATE that changes none


class _Values:
    """A unique key whose values tell rows apart: the last level at which each value was touched."""

    def __init__(self, token: Token) -> None:
        self.token = token
        self.last: dict[Hashable, int] = {}

    def level(self, _step: _Step, images: tuple[Row, ...]) -> int:
        return max([self.last.get(self.token(row), 0) for row in images])

    def note(self, _step: _Step, images: tuple[Row, ...], level: int) -> None:
        for row in images:
            token = self.token(row)
            if token is not None:
                self.last[token] = max(level, self.last.get(token, 0))


#: What a step waits for where values tell nothing.
_WAITS = {
    _Step.INSERT: (_Step.DELETE, _Step.MOVE),
    _Step.DELETE: (_Step.INSERT, _Step.MOVE, _Step.PLAIN),
    _Step.MOVE: tuple(_Step),
    _Step.PLAIN: (_Step.INSERT, _Step.MOVE),
}


class _Kinds:
    """A unique key whose values do not tell rows apart for sure, or no key at all: order by kind."""

    def __init__(self) -> None:
        self.last = dict.fromkeys(_Step, 0)

    def level(self, step: _Step, _images: tuple[Row, ...]) -> int:
        return max([self.last[other] for other in _WAITS[step]])

    def note(self, step: _Step, _images: tuple[Row, ...], level: int) -> None:
        self.last[step] = max(level, self.last[step])


class _End:
    """One end of a foreign key: waits for the other end's changes of the same value."""

    def __init__(self, token: Token, mine: dict[Hashable, int], other: dict[Hashable, int]) -> None:
        self.token = token
        self.mine = mine
        self.other = other

    def level(self, _step: _Step, images: tuple[Row, ...]) -> int:
        return max([self.other.get(self.token(row), 0) for row in images])

    def note(self, _step: _Step, images: tuple[Row, ...], level: int) -> None:
        for row in images:
            token = self.token(row)
            self.mine[token] = max(level, self.mine.get(token, 0))


_Tracker = _Values | _Kinds | _End


class _Levels:
    """Way 3: the state of one island while its changes go by."""

    def __init__(self, doubts: set[str]) -> None:
        self.doubts = doubts
        self.entries: list[Entry] = []
        self.floor = 0  # nothing may go to this level or below any more
        self.top = 0
        self.barrier: Shape | None = None
        self._keys: dict[str, _Values | _Kinds] = {}
        self._ties: dict[str, tuple[dict[Hashable, int], dict[Hashable, int]]] = {}
        self._rows: dict[str, dict[Hashable, Entry]] = {}

    def lane(self, shape: Shape, present: set[str]) -> _Lane:
        keys = [self._key(key) for key in shape.keys]
        if shape.match is None:
            keys.insert(0, self._keys.setdefault(shape.target.address, _Kinds()))
        ends = [end for fk in shape.target.foreign for end in self._ends(shape, fk, present)]
        rows = self._rows.setdefault(shape.target.address, {})
        cascades = any(fk.cascades and ".".join(fk.parent) == shape.target.address for fk in shape.target.foreign)
        return _Lane(self, shape, [*keys, *ends], rows, cascades)

    def _key(self, key: Key) -> _Values | _Kinds:
        if key.space not in self._keys:
            sure = key.sure and key.space not in self.doubts
            self._keys[key.space] = _Values(key.token) if sure else _Kinds()
        found = self._keys[key.space]
        # A second definition of the same target table: same values, other places.
        return _Sibling(found, key.token) if isinstance(found, _Values) and found.token is not key.token else found

    def _ends(self, shape: Shape, fk: ForeignKey, present: set[str]) -> list[_End]:
        """The ends of ``fk`` that this table is (both, when it refers to itself)."""
        child, parent, me = ".".join(fk.child), ".".join(fk.parent), shape.target.address
        if not {child, parent} <= present:
            return []
        children, parents = self._ties.setdefault(f"{child}:{fk.name}", ({}, {}))
        ends = []
        if me == child:
            ends.append(_End(self._token(shape.foreign_key(fk, fk.columns)), children, parents))
        if me == parent:
            ends.append(_End(self._token(shape.foreign_key(fk, fk.parent_columns)), parents, children))
        return ends

    def _token(self, key: Key) -> Token:
        return key.token if key.sure and key.space not in self.doubts else _anything


def _anything(_row: Row) -> Hashable:
    return ""


class _Sibling(_Values):
    """The same key seen through another definition of its table."""

    def __init__(self, other: _Values, token: Token) -> None:
        super().__init__(token)
        self.last = other.last


class _Lane:
    """One table in an island."""

    def __init__(
        self, levels: _Levels, shape: Shape, trackers: Sequence[_Tracker], rows: dict[Hashable, Entry], cascades: bool
    ) -> None:
        self.levels = levels
        self.shape = shape
        self.trackers = trackers
        self.rows = rows
        self.cascades = cascades
        ends = [end for end in trackers if isinstance(end, _End)]
        self.tokens = [end.token for end in ends]

    def insert(self, after: Row, unchecked: bool) -> None:
        entry = self._add(_Step.INSERT, (after,), Entry(self.shape, Kind.INSERT, None, after, unchecked=unchecked))
        self.rows[self.shape.identity(after)] = entry

    def delete(self, before: Row, unchecked: bool) -> None:
        entry = self._add(_Step.DELETE, (before,), Entry(self.shape, Kind.DELETE, before, None, unchecked=unchecked))
        self.rows[self.shape.identity(before)] = entry

    def update(self, before: Row, after: Row, unchecked: bool) -> None:
        identity = self.shape.identity
        entry = Entry(self.shape, Kind.UPDATE, before, after, unchecked=unchecked)
        if self._moves(before, after):
            self.rows.pop(identity(before), None)
            self.rows[identity(after)] = self._add(_Step.MOVE, (before, after), entry)
            return
        last = self.rows.get(identity(before))
        if last is not None and self._takes(last, unchecked):
            last.after = after
            return
        entry.level = max(self.levels.floor, last.level if last else 0)
        self.rows[identity(after)] = self._add(_Step.PLAIN, (before,), entry)

    def _moves(self, before: Row, after: Row) -> bool:
        sensitive = self.shape.sensitive
        return sensitive(before) != sensitive(after) or any(token(before) != token(after) for token in self.tokens)

    def _takes(self, last: Entry, unchecked: bool) -> bool:
        return (
            last.kind is not Kind.DELETE
            and last.shape is self.shape
            and last.level > self.levels.floor
            and last.unchecked == unchecked
            and self.shape.mergeable
        )

    def _add(self, step: _Step, images: tuple[Row, ...], entry: Entry) -> Entry:
        levels = self.levels
        trackers = self.trackers[:1] if step is _Step.PLAIN else self.trackers
        if self.cascades and step in (_Step.DELETE, _Step.MOVE):
            entry.level = self._barrier(step)
        else:
            levels.barrier = None
            found = [tracker.level(step, images) for tracker in trackers]
            entry.level = 1 + max(entry.level, levels.floor, *found)
        for tracker in trackers:
            tracker.note(step, images, entry.level)
        levels.top = max(levels.top, entry.level)
        levels.entries.append(entry)
        return entry

    def _barrier(self, step: _Step) -> int:
        """A level of its own: cascades change rows that the batch does not name. Deletes in a row share it."""
        levels = self.levels
        if step is not _Step.DELETE or levels.barrier is not self.shape:
            levels.floor = levels.top + 1
        levels.barrier = self.shape if step is _Step.DELETE else None
        return levels.floor


def levelled(island: Mapping[int, Shape], changes: Sequence[Change], decode: Decode, doubts: set[str]) -> list[Group]:
    """Raises Unsure with the key that must be added to ``doubts``."""
    levels = _Levels(doubts)
    present = {shape.target.address for shape in island.values()}
    lanes = {index: levels.lane(shape, present) for index, shape in island.items()}
    for change in runs(changes):
        lane = lanes[change.table]
        unchecked = bool(change.flags & NO_FOREIGN_KEY_CHECKS)
        if change.kind is Kind.UPDATE:
            for before, after in decode(change):
                lane.update(before, after, unchecked)
        else:
            add = lane.insert if change.kind is Kind.INSERT else lane.delete
            for row in decode(change):
                add(row, unchecked)
    return grouped(levels.entries)
