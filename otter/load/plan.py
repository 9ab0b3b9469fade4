"""Which changes of a batch go together: the row changes, in order, become few groups of independent ones. Pure.

Three ways, the first that is right for a table:

1. only inserts, or only deletes, in the batch: they do not depend on each other (the source had them all at once);
2. one unique key, no foreign keys, no triggers, no key changed: successive changes of a row merge into one;
3. levels: a change comes one level after the last earlier change that it collides with (a value of any unique key
   before or after it, a foreign key's parent or child). One level's changes are independent. An UPDATE that touches no
   key merges into the row's last INSERT or UPDATE.

A key whose equals we cannot tell (see ``shape.Compare``) orders changes by kind: inserts among themselves are
independent, deletes too, whatever follows waits.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from operator import ne
from typing import Any

from otter.dialect.schema import ForeignKey
from otter.dialect.sql import Row
from otter.load.shape import Key, Shape, Token, Unsure
from otter.model.batch import Change, Kind

#: Rows of a change: INSERT the after images, DELETE the before images, UPDATE (before, after).
Decode = Callable[[Change], list[Any]]

NO_FOREIGN_KEY_CHECKS = 2


@dataclass(eq=False)
class Group:
    """Changes that may be applied in any order, of one table and kind. ``columns``: ordinals that an UPDATE sets.
    ``unchecked``: the source did not check foreign keys."""

    shape: Shape
    kind: Kind
    rows: list[Any] = field(default_factory=list)
    columns: tuple[int, ...] = ()
    unchecked: bool = False


class _Entry:
    """A planned change; ``before``/``after`` as its kind has them."""

    __slots__ = ("after", "before", "kind", "level", "shape", "unchecked")

    def __init__(
        self, shape: Shape, kind: Kind, before: Row | None, after: Row | None, *, unchecked: bool = False
    ) -> None:
        self.shape = shape
        self.kind = kind
        self.before = before
        self.after = after
        self.level = 0
        self.unchecked = unchecked


class _Unmergeable(Exception):
    """Changes of a table that must stay apart: a key was changed, or they contradict each other."""


def plan(shapes: Mapping[int, Shape], changes: Sequence[Change], decode: Decode) -> list[Group]:
    """Groups in the order to apply them; ``shapes`` by ``Change.table``."""
    groups: list[Group] = []
    for island in _islands({index: shapes[index] for index in {change.table for change in changes}}):
        mine = [change for change in changes if change.table in island]
        groups += _plan_island(island, mine, decode)
    return groups


def _islands(shapes: Mapping[int, Shape]) -> list[dict[int, Shape]]:
    """Tables that must be planned together: tied by foreign keys, or the same target table twice."""
    tied = _tied(shapes.values())
    by_name: dict[Hashable, dict[int, Shape]] = {}
    for index, shape in sorted(shapes.items()):
        address = shape.target.address
        by_name.setdefault("" if address in tied else address, {})[index] = shape
    return list(by_name.values())


def _tied(shapes: Iterable[Shape]) -> set[str]:
    """Addresses of tables with a foreign key to another one here. Where deletes cascade, through tables that are not
    here too, all tables with foreign keys count as tied."""
    tables = {shape.target.address: shape.target for shape in shapes}
    if any(fk.cascades and ".".join(fk.parent) == address for address, t in tables.items() for fk in t.foreign):
        return {address for address, table in tables.items() if table.foreign}
    ends = {(".".join(fk.child), ".".join(fk.parent)) for table in tables.values() for fk in table.foreign}
    return {end for pair in ends if tables.keys() >= set(pair) for end in pair}


def _plan_island(island: Mapping[int, Shape], changes: Sequence[Change], decode: Decode) -> list[Group]:
    shape = next(iter(island.values()))
    foreign = len(island) > 1 or bool(_tied([shape]))
    kinds = {change.kind for change in changes}
    if not foreign and len(kinds) == 1 and Kind.UPDATE not in kinds:
        return _bulk(shape, changes, decode)
    if not shape.target.foreign and not foreign and shape.mergeable and shape.match and len(shape.keys) == 1:
        try:
            return _merged(shape, changes, decode)
        except (_Unmergeable, Unsure):
            pass  # levels take what merging cannot
    doubts: set[str] = set()
    while True:
        try:
            return _levelled(island, changes, decode, doubts)
        except Unsure as unsure:
            doubts.add(unsure.key.space)


def _bulk(shape: Shape, changes: Sequence[Change], decode: Decode) -> list[Group]:
    """Way 1. Bodies are decoded in one go: per-change overhead is what small transactions cost most."""
    groups = []
    for unchecked, mine in _split(changes, lambda change: bool(change.flags & NO_FOREIGN_KEY_CHECKS)):
        group = Group(shape, mine[0].kind, unchecked=bool(unchecked))
        for _, same in _split(mine, lambda change: (change.before, change.after)):
            group.rows += decode(_joined(same))
        groups.append(group)
    return groups


def _split(changes: Sequence[Change], key: Callable[[Change], Hashable]) -> list[tuple[Hashable, list[Change]]]:
    parts: dict[Hashable, list[Change]] = {}
    for change in changes:
        parts.setdefault(key(change), []).append(change)
    return list(parts.items())


def _joined(changes: Sequence[Change]) -> Change:
    first = changes[0]
    if len(changes) == 1:
        return first
    rows = sum(change.rows for change in changes)
    body = b"".join([change.body for change in changes])
    return Change(first.table, first.kind, rows, body, first.before, first.after, first.flags)


def _merged(shape: Shape, changes: Sequence[Change], decode: Decode) -> list[Group]:
    """Way 2. Raises _Unmergeable and Unsure."""
    match = shape.match
    if match is None:
        raise _Unmergeable
    token, identity = match.token, shape.identity
    rows: dict[Hashable, _Entry] = {}
    for change in changes:
        if change.kind is Kind.UPDATE:
            for before, after in decode(change):
                if identity(before) != identity(after):
                    raise _Unmergeable
                key = token(before)
                entry = rows.get(key)
                if entry is None:
                    rows[key] = _Entry(shape, Kind.UPDATE, before, after)
                elif entry.kind is Kind.DELETE:
                    raise _Unmergeable
                else:
                    entry.after = after
        elif change.kind is Kind.INSERT:
            for after in decode(change):
                _merge_insert(rows, token(after), shape, after)
        else:
            for before in decode(change):
                _merge_delete(rows, token(before), shape, before)
    return _grouped(rows.values())


def _merge_insert(rows: dict[Hashable, _Entry], key: Hashable, shape: Shape, after: Row) -> None:
    entry = rows.get(key)
    if entry is None:
        rows[key] = _Entry(shape, Kind.INSERT, None, after)
    elif entry.kind is Kind.DELETE:
        entry.kind, entry.after = Kind.UPDATE, after
    else:
        raise _Unmergeable


def _merge_delete(rows: dict[Hashable, _Entry], key: Hashable, shape: Shape, before: Row) -> None:
    entry = rows.get(key)
    if entry is None:
        rows[key] = _Entry(shape, Kind.DELETE, before, None)
    elif entry.kind is Kind.INSERT:
        del rows[key]
    elif entry.kind is Kind.UPDATE:
        entry.kind, entry.after = Kind.DELETE, None
    else:
        raise _Unmergeable


def _grouped(entries: Iterable[_Entry]) -> list[Group]:
    """Entries by level, then deletes, updates, inserts; UPDATEs that set the same columns together."""
    groups: dict[Any, Group] = {}
    for entry in entries:
        kind = entry.kind
        mask: tuple[bool, ...] = ()
        if kind is Kind.UPDATE:
            mask = tuple(map(ne, entry.before, entry.after))  # type: ignore[arg-type]  # both images are there
        key = (entry.level, kind, id(entry.shape), entry.unchecked, mask)
        group = groups.get(key)
        if group is None:
            columns = _columns(entry.shape, mask)
            group = groups[key] = Group(entry.shape, kind, columns=columns, unchecked=entry.unchecked)
        if kind is Kind.UPDATE:
            group.rows.append((entry.before, entry.after))
        else:
            group.rows.append(entry.after or entry.before)
    ordered = sorted(groups.items(), key=lambda item: (item[0][0], _ORDER[item[1].kind]))
    return [group for _, group in ordered if group.kind is not Kind.UPDATE or group.columns]


_ORDER = {Kind.DELETE: 0, Kind.UPDATE: 1, Kind.INSERT: 2}


def _columns(shape: Shape, mask: tuple[bool, ...]) -> tuple[int, ...]:
    """Ordinals that an UPDATE with this ``mask`` sets; none when it changes nothing that we write."""
    if not any(mask[i] for i in shape.written if mask):
        return ()
    return tuple(i for i in shape.written if mask[i] or i in shape.always)


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
        self.entries: list[_Entry] = []
        self.floor = 0  # nothing may go to this level or below any more
        self.top = 0
        self.barrier: Shape | None = None
        self._keys: dict[str, _Values | _Kinds] = {}
        self._ties: dict[str, tuple[dict[Hashable, int], dict[Hashable, int]]] = {}
        self._rows: dict[str, dict[Hashable, _Entry]] = {}

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
        self, levels: _Levels, shape: Shape, trackers: Sequence[_Tracker], rows: dict[Hashable, _Entry], cascades: bool
    ) -> None:
        self.levels = levels
        self.shape = shape
        self.trackers = trackers
        self.rows = rows
        self.cascades = cascades
        ends = [end for end in trackers if isinstance(end, _End)]
        self.tokens = [end.token for end in ends]

    def insert(self, after: Row, unchecked: bool) -> None:
        entry = self._add(_Step.INSERT, (after,), _Entry(self.shape, Kind.INSERT, None, after, unchecked=unchecked))
        self.rows[self.shape.identity(after)] = entry

    def delete(self, before: Row, unchecked: bool) -> None:
        entry = self._add(_Step.DELETE, (before,), _Entry(self.shape, Kind.DELETE, before, None, unchecked=unchecked))
        self.rows[self.shape.identity(before)] = entry

    def update(self, before: Row, after: Row, unchecked: bool) -> None:
        identity = self.shape.identity
        entry = _Entry(self.shape, Kind.UPDATE, before, after, unchecked=unchecked)
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

    def _takes(self, last: _Entry, unchecked: bool) -> bool:
        return (
            last.kind is not Kind.DELETE
            and last.shape is self.shape
            and last.level > self.levels.floor
            and last.unchecked == unchecked
            and self.shape.mergeable
        )

    def _add(self, step: _Step, images: tuple[Row, ...], entry: _Entry) -> _Entry:
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


def _levelled(island: Mapping[int, Shape], changes: Sequence[Change], decode: Decode, doubts: set[str]) -> list[Group]:
    """Raises Unsure with the key that must be added to ``doubts``."""
    levels = _Levels(doubts)
    present = {shape.target.address for shape in island.values()}
    lanes = {index: levels.lane(shape, present) for index, shape in island.items()}
    for change in changes:
        lane = lanes[change.table]
        unchecked = bool(change.flags & NO_FOREIGN_KEY_CHECKS)
        if change.kind is Kind.UPDATE:
            for before, after in decode(change):
                lane.update(before, after, unchecked)
        else:
            add = lane.insert if change.kind is Kind.INSERT else lane.delete
            for row in decode(change):
                add(row, unchecked)
    return _grouped(levels.entries)
