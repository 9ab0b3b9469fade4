"""Names of the source become names of the target."""

from __future__ import annotations

import pytest

from otter.errors import Fatal
from otter.model.batch import Batch, Change, Column, Kind, Position, Table, Transaction
from otter.model.config import DataSource, Pair, PipelineParameters, PipelineTask, StartFrom
from otter.transform.stage import Transformer

SERVER = DataSource(name="d", host="h", username="u")


def transformer(*pairs: Pair) -> Transformer:
    return Transformer(
        PipelineTask(
            id=1, name="p", channel_id=1, channel="c", source=SERVER, target=SERVER, select_nids=(1,), load_nids=(1,),
            pairs=pairs, start=StartFrom(), parameters=PipelineParameters(),
        )
    )  # fmt: skip


def batch(*addresses: str) -> Batch:
    tables = tuple(Table(*address.split("."), columns=(Column("id", 3),), key=(0,)) for address in addresses)
    changes = tuple(Change(i, Kind.INSERT, 1, b"\0\1\0\0\0", b"", b"\1") for i in range(len(tables)))
    transaction = Transaction("0-1-1", Position("0-1-1"), 1.0, changes)
    return Batch(1, 1, 1, 1, Position(), Position("0-1-1"), tables, (transaction,))


def test_names_are_mapped_and_nothing_else_changes() -> None:
    before = batch("shop.orders", "shop.lines")
    after = transformer(Pair(source="shop.orders", target="copy.orders2"), Pair(source="shop.lines")).transform(before)
    assert [table.address for table in after.tables] == ["copy.orders2", "shop.lines"]
    assert after.transactions is before.transactions
    assert after.tables[0].columns == before.tables[0].columns
    assert (after.tables[0].key, after.number, after.end) == ((0,), before.number, before.end)


def test_a_table_without_a_pair_is_refused() -> None:
    with pytest.raises(Fatal, match=r"shop\.Orders .* no mapping pair"):
        transformer(Pair(source="shop.orders")).transform(batch("shop.Orders"))
