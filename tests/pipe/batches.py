"""Batches for the tests of this room."""

from __future__ import annotations

import os

from otter.model.batch import Batch, Change, Column, Kind, Part, Position, Table, Transaction

ORDERS = Table(
    "shop", "orders",
    (Column("id", 8, nullable=False, unsigned=True), Column("state", 247, labels=(b"new", b"\xff paid"))), key=(0,),
)  # fmt: skip


def batch(number: int = 7, size: int = 300, transactions: int = 3, part: Part = Part.WHOLE) -> Batch:
    """A batch whose row images are ``size`` random bytes for each transaction: they do not compress."""
    start = Position("0-1-10", "binlog.000001", 400)
    run = tuple(
        Transaction(
            f"0-1-{11 + n}", Position(f"0-1-{11 + n}", "binlog.000001", 500 + n), 1.7e9 + n,
            (Change(0, Kind.INSERT, 2, os.urandom(size), after=b"\x03"),), part,
        )
        for n in range(transactions)
    )  # fmt: skip
    return Batch(3, 17, 4, number, start, run[-1].position if run else start, (ORDERS,) if run else (), run)
