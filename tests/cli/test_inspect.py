from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from otter.model.batch import Batch, Change, Column, Kind, Position, Table, Transaction
from otter.pipe import file

from .conftest import Otter

LONG, VARCHAR, BLOB = 3, 15, 252
UTF8MB4 = 45
TABLE = Table(
    "shop",
    "orders",
    (
        Column("id", LONG, 0, False),
        Column("remark", VARCHAR, 2000, True, False, UTF8MB4),
        Column("picture", BLOB, 2, True, False, 63),
    ),
    (0,),
)
ALL = b"\x07"


def image(number: int, remark: bytes, picture: bytes) -> bytes:
    return b"".join(
        (
            b"\xf8",
            struct.pack("<i", number),
            struct.pack("<H", len(remark)),
            remark,
            struct.pack("<H", len(picture)),
            picture,
        )
    )


@pytest.fixture
def batch_file(tmp_path: Path) -> Path:
    inserted = b"".join(image(n, "茶".encode(), bytes(2000)) for n in range(1, 4))
    updated = image(1, b"a", b"") + image(1, b"b", b"")
    changes = (
        Change(0, Kind.INSERT, 3, inserted, b"", ALL),
        Change(0, Kind.UPDATE, 1, updated, ALL, ALL),
        Change(0, Kind.DELETE, 1, image(2, b"x", b""), ALL, b""),
    )
    first = Transaction("0-1-8", Position("0-1-8"), 1.5, changes[:1])
    second = Transaction("0-1-9", Position("0-1-9"), 2.5, changes[1:])
    batch = Batch(1, 2, 3, 4, Position("0-1-7"), Position("0-1-9"), (TABLE,), (first, second))
    packed = file.pack(batch)
    path = tmp_path / packed.name
    path.write_bytes(packed.data)
    return path


def test_json_holds_header_tables_and_rows(otter: Otter, batch_file: Path) -> None:
    ended = otter("inspect", batch_file, "--json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert found["header"]["number"] == 4
    assert found["header"]["end"] == "0-1-9"
    assert found["tables"][0]["table"] == "shop.orders"
    assert [found["tables"][0][kind] for kind in ("inserts", "updates", "deletes")] == [3, 1, 1]
    assert [column["key"] for column in found["tables"][0]["columns"]] == [True, False, False]
    kinds = [(row["kind"], row["gtid"]) for row in found["rows"]]
    assert kinds == [("INSERT", "0-1-8")] * 3 + [("UPDATE", "0-1-9"), ("DELETE", "0-1-9")]
    assert found["rows"][0]["after"]["remark"] == "茶"
    assert found["rows"][0]["after"]["picture"] == {"hex": "00" * 500, "length": 2000, "cut": True}
    assert (found["rows"][3]["before"]["remark"], found["rows"][3]["after"]["remark"]) == ("a", "b")
    assert (found["rows"][4]["before"]["id"], found["rows"][4]["after"]) == (2, {})


@pytest.mark.parametrize(("offset", "rows", "kinds"), [(2, 2, ["INSERT", "UPDATE"]), (4, 9, ["DELETE"]), (9, 9, [])])
def test_a_window_of_rows(otter: Otter, batch_file: Path, offset: int, rows: int, kinds: list[str]) -> None:
    found = json.loads(otter("inspect", batch_file, "--json", "--offset", str(offset), "--rows", str(rows)).out)
    assert [row["kind"] for row in found["rows"]] == kinds


def test_for_a_person(otter: Otter, batch_file: Path) -> None:
    ended = otter("inspect", batch_file, "--rows", "4")
    assert "id*, remark, picture" in ended.out
    assert '"remark": "a"' in ended.out
    assert "... 1 more rows" in ended.out


@pytest.mark.parametrize("damage", ["truncated", "flipped", "no batch file"])
def test_a_damaged_file_is_one_sentence(otter: Otter, batch_file: Path, damage: str) -> None:
    data = bytearray(batch_file.read_bytes())
    if damage == "flipped":
        data[-50] ^= 1
    batch_file.write_bytes(data[:-5] if damage == "truncated" else data if damage == "flipped" else b"hello")
    ended = otter("inspect", batch_file)
    assert ended.code != 0
    assert "Traceback" not in ended.err
    assert ended.err.startswith("otter: ")


def test_no_such_file(otter: Otter) -> None:
    assert otter("inspect", "none.otter").code == 3
