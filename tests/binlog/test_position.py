"""Positions as tables of cases, and against random histories."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otter.binlog.position import (
    Cursor,
    add_interval,
    advance,
    contains,
    describe,
    is_empty,
    is_mariadb,
    parse_list,
    parse_set,
)
from otter.errors import BadConfig
from otter.model.batch import Position

A = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
B = "4e11fa47-71ca-11e1-9e33-c80aa9429562"


def test_parse_list() -> None:
    assert parse_list("0-1-42, 1-2-7") == {0: (1, 42), 1: (2, 7)}
    assert parse_list("") == {}


def test_parse_set() -> None:
    assert parse_set(f"{A}:1-3:5,\n{B.upper()}:7") == {A: [(1, 3), (5, 5)], B: [(7, 7)]}
    assert parse_set(f"{A}:1-3:tag_a:4-5:7:b:1") == {A: [(1, 3)], f"{A}:tag_a": [(4, 5), (7, 7)], f"{A}:b": [(1, 1)]}
    assert parse_set(f"{A}:5:1-3:4") == {A: [(1, 5)]}


@pytest.mark.parametrize("text", ["nonsense", A, f"{A}:", f"{A}:x-y", "1-2", f"{A}:1-2:UPPER CASE"])
def test_what_is_no_gtid_is_refused(text: str) -> None:
    with pytest.raises(BadConfig, match="gtid"):
        Cursor(Position(text))


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        (Position("0-1-5"), Position("0-1-5"), True),
        (Position("0-1-5"), Position("0-2-4"), True),
        (Position("0-1-5"), Position("0-1-6"), False),
        (Position("0-1-5"), Position("0-1-5,1-1-1"), False),
        (Position("0-1-5,1-1-1"), Position("0-1-5"), True),
        (Position("0-1-10"), Position("0-1-9"), True),
        (Position(f"{A}:1-5"), Position(f"{A}:2-4"), True),
        (Position(f"{A}:1-5:7"), Position(f"{A}:6"), False),
        (Position(f"{A}:1-5"), Position(f"{A}:1-5,{B}:1"), False),
        (Position(f"{A}:1-5"), Position(f"{A}:tag:1"), False),
        (Position(f"{A}:1-5:tag:1-2"), Position(f"{A}:tag:2"), True),
        (Position(f"{A}:1-5"), Position("0-1-1"), False),
        (Position("", "binlog.000002", 4), Position("", "binlog.000001", 900), True),
        (Position("", "binlog.000010", 4), Position("", "binlog.000009", 4), True),
        (Position("", "binlog.1000000", 4), Position("", "binlog.999999", 4), True),
        (Position("", "binlog.000001", 4), Position("", "binlog.000001", 5), False),
        (Position("", "binlog.000001", 5), Position("", "other.000001", 4), False),
        (Position("0-1-5", "binlog.000001", 4), Position("0-1-4", "binlog.000001", 900), True),
        (Position("0-1-5"), Position("", "binlog.000001", 4), False),
        (Position(), Position(), True),
        (Position("0-1-5"), Position(), True),
        (Position(), Position("0-1-5"), False),
    ],
)
def test_contains(outer: Position, inner: Position, expected: bool) -> None:
    assert contains(outer, inner) is expected


def test_advance() -> None:
    start = Position("0-1-5,2-1-9", "f.1", 10)
    assert advance(start, "0-3-6", "f.1", 20) == Position("0-3-6,2-1-9", "f.1", 20)
    assert advance(start, "1-1-1", "f.2", 4) == Position("0-1-5,1-1-1,2-1-9", "f.2", 4)
    assert advance(Position(f"{A}:1-5", "f.1", 10), f"{A}:6", "f.1", 20).gtid == f"{A}:1-6"
    assert advance(Position(f"{B}:1"), f"{A}:tag:1", "f.1", 20).gtid == f"{A}:tag:1,{B}:1"
    assert advance(Position("", "f.1", 10), "", "f.1", 20) == Position("", "f.1", 20)


def test_a_cursor_without_gtid_makes_up_none() -> None:
    """A list of only the domains seen since the start would replay all others."""
    cursor = Cursor(Position("", "f.1", 10))
    cursor.add_mariadb(0, "0-1-5")
    assert cursor.position().gtid == ""
    cursor.seed("0-1-5,1-1-1")
    cursor.add_mariadb(0, "0-1-6")
    assert cursor.position().gtid == "0-1-6,1-1-1"


def test_words() -> None:
    assert describe(Position("0-1-5", "f.1", 10)) == "0-1-5 (f.1:10)"
    assert describe(Position("", "f.1", 10)) == "f.1:10"
    assert describe(Position("0-1-5")) == "0-1-5"
    assert describe(Position()) == "no position"
    assert is_empty(Position()) and not is_empty(Position("0-1-1")) and not is_empty(Position("", "f.1", 4))
    assert is_mariadb("0-1-1,1-1-1") and not is_mariadb(f"{A}:1") and not is_mariadb("")


@given(st.lists(st.integers(1, 60), max_size=80))
def test_intervals_hold_what_was_added(numbers: list[int]) -> None:
    intervals: list[tuple[int, int]] = []
    for number in numbers:
        add_interval(intervals, number, number)
    assert {n for low, high in intervals for n in range(low, high + 1)} == set(numbers)
    assert all(right[0] > left[1] + 1 for left, right in itertools.pairwise(intervals))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 50)), max_size=40))
def test_an_advanced_position_contains_every_earlier_one(history: list[tuple[int, int]]) -> None:
    position, seen, last = Position("0-1-1"), [], {0: 1}
    for domain, step in history:
        last[domain] = last.get(domain, 0) + step
        position = advance(position, f"{domain}-1-{last[domain]}", "f.1", 4)
        assert all(contains(position, earlier) for earlier in seen)
        seen.append(position)
