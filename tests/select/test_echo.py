"""Whose work a transaction is, told by the mark rows in it."""

from __future__ import annotations

import pytest

from otter.model.batch import Change, Kind, Part, Position, Transaction
from otter.select.echo import EchoFilter, Origin
from tests.load.kit import pack, table

MARKS = table("retl", "otter_mark", "pipeline_id channel_id")
ORDERS = table("shop", "orders", "id name")


def mark(channel: int, index: int) -> Change:
    images = pack(MARKS.columns, (7, channel)) * 2
    return Change(index, Kind.UPDATE, 1, images, b"\3", b"\3")


def order(index: int) -> Change:
    return Change(index, Kind.INSERT, 1, pack(ORDERS.columns, (1, "tea")), b"", b"\3")


def transaction(*changes: Change, part: Part = Part.WHOLE) -> Transaction:
    return Transaction("1-1-1", Position("1-1-1"), 1.0, changes, part)


@pytest.mark.parametrize(
    ("changes", "origin", "left"),
    [
        ((order(1),), Origin.APPLICATION, 1),
        ((mark(5, 0), order(1)), Origin.OURS, 1),
        ((mark(6, 0), order(1)), Origin.APPLICATION, 1),  # another channel's: it travels, its mark does not
        ((mark(5, 0),), Origin.MARK, 0),
        ((mark(6, 0),), Origin.MARK, 0),
    ],
)
def test_the_mark_tells(changes: tuple[Change, ...], origin: Origin, left: int) -> None:
    found, rest = EchoFilter(5).look(transaction(*changes), [MARKS, ORDERS])
    assert (found, len(rest.changes) if found is not Origin.MARK else 0) == (origin, left)


def test_marks_that_come_later_in_the_stream_are_known_then() -> None:
    echoes, tables = EchoFilter(5), [ORDERS]
    plain = transaction(order(0))
    assert echoes.look(plain, tables) == (Origin.APPLICATION, plain)
    tables.append(MARKS)
    assert echoes.look(transaction(mark(5, 1), order(0)), tables)[0] is Origin.OURS
    assert echoes.look(plain, tables) == (Origin.APPLICATION, plain)


@pytest.mark.parametrize(("channel", "origin"), [(5, Origin.OURS), (6, Origin.APPLICATION)])
def test_what_the_first_piece_is_the_others_are(channel: int, origin: Origin) -> None:
    echoes, tables = EchoFilter(5), [MARKS, ORDERS]
    assert echoes.look(transaction(mark(channel, 0), part=Part.FIRST), tables)[0] is origin
    assert echoes.look(transaction(order(1), part=Part.MIDDLE), tables)[0] is origin
    assert echoes.look(transaction(order(1), part=Part.LAST), tables)[0] is origin
    assert echoes.look(transaction(order(1)), tables)[0] is Origin.APPLICATION


def test_a_giant_of_an_application_without_any_mark() -> None:
    echoes = EchoFilter(5)
    for part in (Part.FIRST, Part.MIDDLE, Part.LAST):
        assert echoes.look(transaction(order(0), part=part), [ORDERS])[0] is Origin.APPLICATION
