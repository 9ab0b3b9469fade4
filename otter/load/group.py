"""What a plan is made of: changes with a level, and the groups of independent changes they end up in. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter, ne
from typing import Any

from otter.dialect.sql import Row
from otter.load.shape import Shape
from otter.model.batch import Change, Kind

#: Rows of a change: INSERT the after images, DELETE the before images, UPDATE (before, after).
Decode = Callable[[Change], list[Any]]

NO_FOREIGN_KEY_CHECKS = 2


@dataclass(eq=False)
class Group:
    """Changes that may be applied in any order, of one table and kind. ``columns``: ordinals that an UPDATE sets.
    ``unchecked``: the source did not check foreign keys. ``images``: inserts that are not in ``rows``, undecoded."""

    shape: Shape
    kind: Kind
    rows: list[Any] = field(default_factory=list)
    columns: tuple[int, ...] = ()
    unchecked: bool = False
    images: Sequence[Change] = ()


class Entry:
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


#: Changes that follow each other and differ in nothing of this are decoded as one.
_ALIKE = attrgetter("table", "kind", "flags", "before", "after")


def runs(changes: Sequence[Change]) -> Iterator[Change]:
    return (joined(list(run)) for _, run in groupby(changes, _ALIKE))


def joined(changes: Sequence[Change]) -> Change:
    first = changes[0]
    if len(changes) == 1:
        return first
    rows = sum(change.rows for change in changes)
    body = b"".join([change.body for change in changes])
    return Change(first.table, first.kind, rows, body, first.before, first.after, first.flags)


def grouped(entries: Iterable[Entry]) -> list[Group]:
    """Entries by level, then deletes, updates, inserts; UPDATEs that set the same columns together."""
    groups: dict[Any, Group] = {}
    for entry in entries:
        kind, before, after = entry.kind, entry.before, entry.after
        row: Any
        if before is not None and after is not None:
            mask, row = tuple(map(ne, before, after)), (before, after)
        else:
            mask, row = (), after or before
        key = (entry.level, kind, id(entry.shape), entry.unchecked, mask)
        try:
            groups[key].rows.append(row)
        except KeyError:
            columns = _columns(entry.shape, mask)
            groups[key] = Group(entry.shape, kind, [row], columns, entry.unchecked)
    ordered = sorted(groups.items(), key=lambda item: (item[0][0], _ORDER[item[1].kind]))
    return [group for _, group in ordered if group.kind is not Kind.UPDATE or group.columns]


_ORDER = {Kind.DELETE: 0, Kind.UPDATE: 1, Kind.INSERT: 2}


def _columns(shape: Shape, mask: tuple[bool, ...]) -> tuple[int, ...]:
    """Ordinals that an UPDATE with this ``mask`` sets; none when it changes nothing that we write."""
    if not any(mask[i] for i in shape.written if mask):
        return ()
    return tuple(i for i in shape.written if mask[i] or i in shape.always)
