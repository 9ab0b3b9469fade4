"""Rows that wait (D9): a change that cannot be applied, and every later change of the same key, in order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from otter.dialect.mark import Parked
from otter.dialect.sql import Row
from otter.load.group import Group
from otter.load.shape import Shape, picker
from otter.model.batch import Kind

FOLLOWER = "waits behind a parked row of the same key"


class Parking:
    """Parked keys of a pipeline. What is added counts at once, but is kept only by ``keep`` (the commit)."""

    def __init__(self, keys: Iterable[tuple[str, str]] = ()) -> None:
        self._kept = set(keys)
        self._added: set[tuple[str, str]] = set()
        self._tables = {table for table, _ in self._kept}
        self.rows: list[Parked] = []  # added, not yet written to retl.otter_parked

    def __len__(self) -> int:
        return len(self._kept | self._added)

    def concerns(self, shape: Shape) -> bool:
        """Whether any key of this table is parked (cheap: asked for every statement)."""
        return shape.target.address in self._tables

    def holds(self, shape: Shape, images: Sequence[Row]) -> bool:
        keys = {(shape.target.address, digest(shape, image)) for image in images}
        return not keys.isdisjoint(self._kept) or not keys.isdisjoint(self._added)

    def add(self, group: Group, row: Any, error: str, current: str | None = None) -> None:
        shape = group.shape
        before, after = old_and_new(group.kind, row)
        hashes = list(dict.fromkeys(digest(shape, image) for image in (before, after) if image))
        self._added.update((shape.target.address, key_hash) for key_hash in hashes)
        self._tables.add(shape.target.address)
        self.rows.append(
            Parked(
                shape.target.schema, shape.target.name, key_text(shape, before or after or ()), hashes[0],
                hashes[1] if len(hashes) > 1 else "", group.kind.name, image_text(shape, before),
                image_text(shape, after), current, error,
            )
        )  # fmt: skip

    def keep(self) -> None:
        self._kept |= self._added
        self._added.clear()

    def forget(self) -> None:
        """What was added since the last ``keep`` was rolled back."""
        self._added.clear()
        self.rows.clear()
        self._tables = {table for table, _ in self._kept}


def old_and_new(kind: Kind, row: Any) -> tuple[Row | None, Row | None]:
    """A planned row as (before, after)."""
    if kind is Kind.UPDATE:
        before, after = row
        return before, after
    return (None, row) if kind is Kind.INSERT else (row, None)


def images(kind: Kind, row: Any) -> list[Row]:
    return [image for image in old_and_new(kind, row) if image is not None]


def digest(shape: Shape, row: Row) -> str:
    return hashlib.sha256(b",".join(_named(shape, row))).hexdigest()


def key_text(shape: Shape, row: Row) -> str:
    """The key's literals for people (the whole row's when it has no key), cut at 1,000 characters."""
    return ", ".join(map(text, _named(shape, row)))[:1000]


def _named(shape: Shape, row: Row) -> Sequence[bytes]:
    return picker(shape.match.ordinals if shape.match else shape.written, -1)(row)


def image_text(shape: Shape, row: Row | None) -> str | None:
    """A JSON object of SQL literals by column, which an operator can put into a statement as they are."""
    if row is None:
        return None
    return json.dumps({shape.table.columns[i].name: text(row[i]) for i in shape.written}, ensure_ascii=False)


def text(literal: bytes) -> str:
    """A literal as text; binary ones become hex."""
    if literal.startswith(b"_binary'"):
        raw = literal[8:-1].replace(b"\\'", b"'").replace(b"\\\\", b"\\")
        return f"x'{raw.hex()}'"
    return literal.decode("utf-8", "backslashreplace")
