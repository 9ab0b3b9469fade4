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

from otter.dialect.sql import Row
from otter.load.group import NO_FOREIGN_KEY_CHECKS, Decode, Entry, Group, grouped, joined, runs
from otter.load.levels import levelled
from otter.load.shape import Shape, Unsure
from otter.model.batch import Change, Kind

#: Whether changes of one table may go to the target as the images they are.
IsReplayable = Callable[[Shape, Sequence[Change]], bool]


class _Unmergeable(Exception):
    """Changes of a table that must stay apart: a key was changed, or they contradict each other."""


def plan(
    shapes: Mapping[int, Shape], changes: Sequence[Change], decode: Decode, images: IsReplayable | None = None
) -> list[Group]:
    """Groups in the order to apply them; ``shapes`` by ``Change.table``. Where ``images`` says yes, way 1 leaves rows
    undecoded in ``Group.images``."""
    groups: list[Group] = []
    for island in _islands({index: shapes[index] for index in {change.table for change in changes}}):
        mine = [change for change in changes if change.table in island]
        groups += _plan_island(island, mine, decode, images)
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


def _plan_island(
    island: Mapping[int, Shape], changes: Sequence[Change], decode: Decode, images: IsReplayable | None
) -> list[Group]:
    shape = next(iter(island.values()))
    foreign = len(island) > 1 or bool(_tied([shape]))
    kinds = {change.kind for change in changes}
    if not foreign and len(kinds) == 1 and Kind.UPDATE not in kinds:
        return _bulk(shape, changes, decode, images)
    if not shape.target.foreign and not foreign and shape.mergeable and shape.match and len(shape.keys) == 1:
        try:
            return _merged(shape, changes, decode)
        except (_Unmergeable, Unsure):
            pass  # levels take what merging cannot
    doubts: set[str] = set()
    while True:
        try:
            return levelled(island, changes, decode, doubts)
        except Unsure as unsure:
            doubts.add(unsure.key.space)


def _bulk(shape: Shape, changes: Sequence[Change], decode: Decode, images: IsReplayable | None) -> list[Group]:
    """Way 1. Bodies are decoded in one go: per-change overhead is what small transactions cost most."""
    groups = []
    for unchecked, mine in _split(changes, lambda change: bool(change.flags & NO_FOREIGN_KEY_CHECKS)):
        group = Group(shape, mine[0].kind, unchecked=bool(unchecked))
        groups.append(group)
        if images is not None and images(shape, mine):
            group.images = mine
            continue
        for _, same in _split(mine, lambda change: (change.before, change.after)):
            group.rows += decode(joined(same))
    return groups


def _split(changes: Sequence[Change], key: Callable[[Change], Hashable]) -> list[tuple[Hashable, list[Change]]]:
    parts: dict[Hashable, list[Change]] = {}
    for change in changes:
        parts.setdefault(key(change), []).append(change)
    return list(parts.items())


def _merged(shape: Shape, changes: Sequence[Change], decode: Decode) -> list[Group]:
    """Way 2. Raises _Unmergeable and Unsure."""
    match = shape.match
    if match is None:
        raise _Unmergeable
    token, identity = match.token, shape.identity
    rows: dict[Hashable, Entry] = {}
    for change in runs(changes):
        if change.kind is Kind.UPDATE:
            for before, after in decode(change):
                if identity(before) != identity(after):
                    raise _Unmergeable
                key = token(before)
                entry = rows.get(key)
                if entry is None:
                    rows[key] = Entry(shape, Kind.UPDATE, before, after)
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
    return grouped(rows.values())


def _merge_insert(rows: dict[Hashable, Entry], key: Hashable, shape: Shape, after: Row) -> None:
    entry = rows.get(key)
    if entry is None:
        rows[key] = Entry(shape, Kind.INSERT, None, after)
    elif entry.kind is Kind.DELETE:
        entry.kind, entry.after = Kind.UPDATE, after
    else:
        raise _Unmergeable


def _merge_delete(rows: dict[Hashable, Entry], key: Hashable, shape: Shape, before: Row) -> None:
    entry = rows.get(key)
    if entry is None:
        rows[key] = Entry(shape, Kind.DELETE, before, None)
    elif entry.kind is Kind.INSERT:
        del rows[key]
    elif entry.kind is Kind.UPDATE:
        entry.kind, entry.after = Kind.DELETE, None
    else:
        raise _Unmergeable
