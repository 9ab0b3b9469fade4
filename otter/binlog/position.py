"""Places in a binlog: GTID lists (MariaDB), GTID sets (MySQL), file and offset. Parse, advance, compare; no I/O."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from otter.errors import BadConfig
from otter.model.batch import Position

#: MariaDB: domain -> (server id, sequence number).
GtidList = dict[int, tuple[int, int]]
#: MySQL: ``uuid`` or ``uuid:tag`` -> intervals, both ends included, in order.
GtidSet = dict[str, list[tuple[int, int]]]

_MARIADB = re.compile(r"(\d+)-(\d+)-(\d+)")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TAG = re.compile(r"[a-z_][a-z0-9_]{0,31}")
_INTERVAL = re.compile(r"(\d+)(?:-(\d+))?")
_HINT = "MariaDB: 0-1-42,1-2-7; MySQL: 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5"


def is_mariadb(gtid: str) -> bool:
    """Whether the text is MariaDB's kind of GTID position."""
    return _MARIADB.fullmatch(gtid.partition(",")[0].strip()) is not None


def parse_list(gtid: str) -> GtidList:
    """MariaDB's ``domain-server-sequence,...``; BadConfig if it is not one."""
    found: GtidList = {}
    for part in filter(None, (part.strip() for part in gtid.split(","))):
        match = _MARIADB.fullmatch(part)
        if match is None:
            raise BadConfig("gtid", gtid, _HINT)
        domain, server, number = map(int, match.groups())
        found[domain] = (server, number)
    return found


def parse_set(gtid: str) -> GtidSet:
    """MySQL's ``uuid[:tag]:interval[:interval]...,...``; BadConfig if it is not one."""
    found: GtidSet = {}
    for member in filter(None, (part.strip() for part in gtid.lower().split(","))):
        uuid, *parts = member.split(":")
        if not _UUID.fullmatch(uuid) or not parts:
            raise BadConfig("gtid", gtid, _HINT)
        source = uuid
        for part in parts:
            interval = _INTERVAL.fullmatch(part.strip())
            if interval:
                first = int(interval[1])
                add_interval(found.setdefault(source, []), first, int(interval[2] or first))
            elif _TAG.fullmatch(part.strip()):
                source = f"{uuid}:{part.strip()}"
            else:
                raise BadConfig("gtid", gtid, _HINT)
    return found


def add_interval(intervals: list[tuple[int, int]], first: int, last: int) -> None:
    """Adds ``first..last`` in place; growing the last interval, the usual case, is the cheap one."""
    if intervals and intervals[-1][1] + 1 == first:
        intervals[-1] = (intervals[-1][0], last)
        return
    intervals.append((first, last))
    merged: list[tuple[int, int]] = []
    for low, high in sorted(intervals):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    intervals[:] = merged


def set_text(source: str, intervals: list[tuple[int, int]]) -> str:
    return ":".join([source, *(str(low) if low == high else f"{low}-{high}" for low, high in intervals)])


class Cursor:
    """A position that moves with every transaction: keeps the GTID parts apart and joins them on demand.

    A cursor that began without a GTID stays with file and offset until ``seed`` gives it a whole GTID position: a list
    with only the domains seen since then would replay all others."""

    def __init__(self, position: Position) -> None:
        self.file = position.file
        self.offset = position.offset
        self._texts: dict[Any, str] = {}  # by domain (MariaDB) or source (MySQL), in order
        self._sets: GtidSet = {}
        self.has_gtid = False
        self.seed(position.gtid)

    def seed(self, gtid: str) -> None:
        """Takes a whole GTID position in place of the one it has; empty: nothing is known."""
        self.has_gtid = bool(gtid)
        if is_mariadb(gtid):
            items = sorted(parse_list(gtid).items())
            self._texts = {domain: f"{domain}-{server}-{number}" for domain, (server, number) in items}
        elif gtid:
            self._sets = parse_set(gtid)
            self._texts = {source: set_text(source, intervals) for source, intervals in sorted(self._sets.items())}

    def add_mariadb(self, domain: int, text: str) -> None:
        """The transaction ``text`` (``domain-server-sequence``) is behind us."""
        if self.has_gtid:
            fresh = domain not in self._texts
            self._texts[domain] = text
            if fresh:
                self._texts = dict(sorted(self._texts.items()))

    def add_mysql(self, source: str, number: int) -> None:
        """The transaction ``source:number`` (source = uuid or uuid:tag) is behind us."""
        if self.has_gtid:
            intervals = self._sets.setdefault(source, [])
            add_interval(intervals, number, number)
            fresh = source not in self._texts
            self._texts[source] = set_text(source, intervals)
            if fresh:
                self._texts = dict(sorted(self._texts.items()))

    @property
    def place(self) -> Position:
        """File and offset alone."""
        return Position("", self.file, self.offset)

    def position(self) -> Position:
        return Position(",".join(self._texts.values()), self.file, self.offset)


def advance(position: Position, gtid: str, file: str, offset: int) -> Position:
    """The position after the transaction ``gtid`` ("" where GTIDs are off) that ends at ``offset`` of ``file``."""
    cursor = Cursor(position)
    cursor.file, cursor.offset = file, offset
    if is_mariadb(gtid):
        cursor.add_mariadb(int(gtid.partition("-")[0]), gtid)
    elif gtid:
        source, _, number = gtid.rpartition(":")
        cursor.add_mysql(source, int(number))
    return cursor.position()


def is_empty(position: Position) -> bool:
    return not position.gtid and not position.file


def contains(outer: Position, inner: Position) -> bool:
    """Whether everything before ``inner`` is before ``outer``. GTIDs decide where both have them, else file and offset;
    positions that cannot be compared (other flavour, other file name) are not contained."""
    if is_empty(inner):
        return True
    if outer.gtid and inner.gtid:
        if is_mariadb(outer.gtid) != is_mariadb(inner.gtid):
            return False
        return _list_contains(outer.gtid, inner.gtid) if is_mariadb(outer.gtid) else _set_contains(outer, inner)
    if not (outer.file and inner.file):
        return False
    base, number = _file_number(outer.file)
    inner_base, inner_number = _file_number(inner.file)
    return base == inner_base and (number, outer.offset) >= (inner_number, inner.offset)


def _list_contains(outer: str, inner: str) -> bool:
    has = parse_list(outer)
    return all(domain in has and has[domain][1] >= number for domain, (_, number) in parse_list(inner).items())


def _set_contains(outer: Position, inner: Position) -> bool:
    has = parse_set(outer.gtid)
    return all(
        any(low <= first and last <= high for low, high in has.get(source, ()))
        for source, intervals in parse_set(inner.gtid).items()
        for first, last in intervals
    )


@cache
def _file_number(file: str) -> tuple[str, int]:
    base, _, number = file.rpartition(".")
    return (base, int(number)) if number.isdigit() else (file, 0)


def describe(position: Position) -> str:
    """For people: the GTID position, file and offset, or both."""
    place = f"{position.file}:{position.offset}" if position.file else ""
    if position.gtid and place:
        return f"{position.gtid} ({place})"
    return position.gtid or place or "no position"
