"""The batch file: what goes in comes out, and nothing else ever does."""

from __future__ import annotations

import hashlib
import struct
import threading
import zlib
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from otter.errors import Damaged, Fatal, Retryable
from otter.model.batch import Batch, Change, Column, Kind, Part, Position, Table, Transaction
from otter.pipe import file
from tests.pipe.batches import batch

_int = st.integers(0, 2**40)
_float = st.floats(0, 2e9)
_text = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
positions = st.builds(Position, gtid=_text, file=_text, offset=_int)
columns = st.builds(
    Column, name=_text, type=st.integers(0, 255), meta=st.integers(0, 65535), nullable=st.booleans(),
    unsigned=st.booleans(), collation=st.integers(0, 3000), labels=st.lists(st.binary(max_size=5)).map(tuple),
)  # fmt: skip
tables = st.builds(
    Table, schema=_text, name=_text, columns=st.lists(columns, max_size=4).map(tuple),
    key=st.lists(st.integers(0, 3), max_size=2).map(tuple), mariadb=st.booleans(),
)  # fmt: skip
changes = st.builds(
    Change, table=st.integers(0, 5), kind=st.sampled_from(Kind), rows=st.integers(0, 2000),
    body=st.binary(max_size=300), before=st.binary(max_size=3), after=st.binary(max_size=3), flags=st.integers(0, 7),
)  # fmt: skip
transactions = st.builds(
    Transaction, gtid=_text, position=positions, committed=_float, changes=st.lists(changes, max_size=4).map(tuple),
    part=st.sampled_from(Part),
)  # fmt: skip
batches = st.builds(
    Batch, channel_id=_int, pipeline_id=_int, epoch=_int, number=_int, start=positions, end=positions,
    tables=st.lists(tables, max_size=3).map(tuple), transactions=st.lists(transactions, max_size=5).map(tuple),
)  # fmt: skip


@given(batches, st.booleans())
@settings(deadline=None, max_examples=150)
def test_what_goes_in_comes_out(given_batch: Batch, compress: bool) -> None:
    packed = file.pack(given_batch, compress)
    assert file.decode(packed.data, packed.digest) == given_batch
    assert file.decode(memoryview(bytearray(packed.data))) == given_batch
    assert packed.digest == hashlib.sha256(packed.data).hexdigest()


def test_a_file_says_what_it_holds_without_being_read(tmp_path: Path) -> None:
    packed = file.pack(batch(number=230, size=100_000))
    path = tmp_path / packed.name
    path.write_bytes(packed.data[:2000])  # the payload is not even there
    header = file.read_header(path)
    assert header == packed.header
    assert (header.channel_id, header.pipeline_id, header.epoch, header.number) == (3, 17, 4, 230)
    assert (header.transactions, header.rows, header.tables[0].address) == (3, 6, "shop.orders")
    assert header.raw > 300_000 and header.made > 1.7e9 and header.writer
    assert packed.name == f"3-17-4-230-{packed.digest[:8]}.otter"
    assert b'"pipelineId":17' in packed.data[:200]  # readable with `head`


@pytest.mark.parametrize("compress", [True, False])
def test_every_flipped_bit_is_damage(compress: bool) -> None:
    data = file.encode(batch(size=120), compress)
    for at in range(len(data)):
        for bit in (1, 128):
            broken = bytearray(data)
            broken[at] ^= bit
            with pytest.raises(Damaged) as caught:
                file.decode(broken)
            assert caught.value.hint


def test_every_length_but_the_right_one_is_damage() -> None:
    data = file.encode(batch(size=120))
    for length in range(len(data)):
        with pytest.raises(Damaged, match=r"truncated|CRC"):
            file.decode(data[:length])
    for more in (b"\0", data):
        with pytest.raises(Damaged, match="too many"):
            file.decode(data + more)


def test_every_truncated_header_is_damage(tmp_path: Path) -> None:
    data = file.encode(batch())
    (length,) = struct.unpack_from(">I", data, 12)
    path = tmp_path / "short.otter"
    for end in range(0, 16 + length + 4, 7):
        path.write_bytes(data[:end])
        with pytest.raises(Damaged, match="truncated"):
            file.read_header(path)


def sealed(data: bytes) -> bytes:
    """``data`` without its digest, given a right one."""
    return data + hashlib.sha256(data).digest()


def built(head: bytes, payload: bytes, *, version: int = 1, flags: int = 1, magic: bytes = file.MAGIC) -> bytes:
    """A file made by hand, its CRC and SHA-256 right."""
    prefix = struct.pack(">8sHHI", magic, version, flags, len(head)) + head
    return sealed(prefix + struct.pack(">I", zlib.crc32(prefix)) + payload)


def parts(given_batch: Batch, compress: bool = True) -> tuple[dict[str, object], bytes]:
    """Header and payload of a good file."""
    packed = file.pack(given_batch, compress)
    begin = 16 + struct.unpack_from(">I", packed.data, 12)[0]
    return msgspec.json.decode(packed.data[16:begin]), packed.data[begin + 4 : -32]


def test_another_format_says_which() -> None:
    header, payload = parts(batch())
    head = msgspec.json.encode(header)
    assert file.decode(built(head, payload)).number == 7
    with pytest.raises(Damaged, match="newer Otter: format 2, we read 1"):
        file.decode(built(head, payload, version=2))
    with pytest.raises(Damaged, match="format 0"):
        file.decode(built(head, payload, version=0))
    with pytest.raises(Damaged, match="flags 6"):
        file.decode(built(head, payload, flags=6))
    with pytest.raises(Damaged, match="not a batch file"):
        file.decode(built(head, payload, magic=b"GIF89a\r\n"))


def test_a_newer_writer_may_add_fields_to_the_header() -> None:
    header, payload = parts(batch())
    assert file.decode(built(msgspec.json.encode({**header, "compressedBy": "x"}), payload)).number == 7


def test_a_bomb_is_not_unpacked() -> None:
    header, _ = parts(batch())
    bomb = zstandard.ZstdCompressor(level=1).compress(bytes(200 << 20))

    def claim(**fields: object) -> bytes:
        return built(msgspec.json.encode({**header, "packed": len(bomb), **fields}), bomb)

    with pytest.raises(Damaged, match="unpacks to 209715200 bytes, its header says"):
        file.decode(claim())
    for raw in (file.MAX_RAW + 1, 1 << 62, -1):
        with pytest.raises(Damaged, match="claims"):
            file.decode(claim(raw=raw))
    unnamed = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1 << 20))
    with pytest.raises(Damaged, match="header says"):
        file.decode(built(msgspec.json.encode({**header, "packed": len(unnamed), "raw": 1 << 20}), unnamed))


def test_claims_that_do_not_fit_are_damage() -> None:
    header, payload = parts(batch(), compress=False)
    head = msgspec.json.encode({**header, "raw": len(payload) + 1})
    with pytest.raises(Damaged, match="payload has"):
        file.decode(built(head, payload, flags=0))
    with pytest.raises(Damaged, match="claims a header of 4294967295 bytes"):
        file.decode(struct.pack(">8sHHI", file.MAGIC, 1, 1, 2**32 - 1) + bytes(100))
    with pytest.raises(Damaged, match="header cannot be read"):
        file.decode(built(b'{"channelId": 1}', payload))
    with pytest.raises(Damaged, match="transactions cannot be read"):
        junk = zstandard.ZstdCompressor().compress(b"\x93\x01\x02\x03")
        file.decode(built(msgspec.json.encode({**header, "packed": len(junk), "raw": 4}), junk))
    frames = payload_of_two_frames(header)
    with pytest.raises(Damaged, match="cannot be unpacked"):
        file.decode(frames)


def payload_of_two_frames(header: dict[str, object]) -> bytes:
    raw = zstandard.ZstdCompressor().compress(b"\x90")
    return built(msgspec.json.encode({**header, "packed": 2 * len(raw), "raw": 1}), raw + raw)


def test_another_whole_file_is_not_what_the_ticket_names() -> None:
    one, other = file.pack(batch(1)), file.pack(batch(2))
    with pytest.raises(Damaged, match="not the one that the ticket names"):
        file.decode(other.data, one.digest)


def test_a_file_that_cannot_be_read_is_retryable(tmp_path: Path) -> None:
    for call in (file.read, file.read_header):
        with pytest.raises(Retryable, match="No such file") as caught:
            call(tmp_path / "gone.otter")
        assert not isinstance(caught.value, Damaged)


def test_a_batch_that_is_too_big_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "MAX_RAW", 1000)
    with pytest.raises(Fatal, match="mainstemBatchsize"):
        file.encode(batch(size=2000))


def test_names_have_no_path_in_them() -> None:
    assert file.checked("3-17-4-7-0a1b2c3d.otter")
    for name in (
        "../x.otter",
        "/x.otter",
        "a/b.otter",
        ".otter",
        ".x.otter",
        "x.otter.tmp",
        "x\n.otter",
        "x.otter\n",
        "",
    ):
        with pytest.raises(Damaged, match="not the name"):
            file.checked(name)


def test_threads_pack_and_unpack_side_by_side() -> None:
    wrong: list[int] = []

    def work(seed: int) -> None:
        for _ in range(10):
            mine = batch(seed, size=20_000)
            if file.decode(file.encode(mine)) != mine:
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
