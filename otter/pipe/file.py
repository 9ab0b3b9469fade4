"""The batch file: one self-describing, immutable file holds one batch (D10). Version 1, big endian::

    8   magic              \\x89OTTER\\r\\n (a transfer that mends line ends breaks it at once)
    2   format version
    2   flags              1 = the payload is one zstd frame; otherwise plain
    4   length of the header
    n   header             JSON, see Header: everything but the transactions, the table definitions included
    4   CRC-32 of all of the above, so that the header can be trusted without reading the payload
    m   payload            msgpack of the transactions, ``Header.packed`` bytes, ``Header.raw`` bytes once unpacked
    32  SHA-256 of all of the above

A flipped bit, a missing end, an extra byte: always :class:`Damaged`, never another batch. What is pushed (memory,
inline) is the same bytes. This file knows no folder, no network and no row.
"""

from __future__ import annotations

import hashlib
import re
import struct
import threading
import time
import zlib
from pathlib import Path
from typing import NamedTuple

import msgspec
import zstandard

from otter import __version__
from otter.errors import Damaged, Fatal, Retryable
from otter.model.batch import Batch, Part, Position, Table, Transaction

MAGIC = b"\x89OTTER\r\n"
VERSION = 1
COMPRESSED = 1
SUFFIX = ".otter"
#: More than a batch can ever hold (a row is at most 1 GiB, ``max_allowed_packet``); a larger claim is damage or a bomb.
MAX_RAW = 1 << 30
MAX_HEADER = 64 << 20

_AGAIN = "the batch is fetched or made again by itself; if this comes back, check the disk and the link"
_PREFIX = struct.Struct(">8sHHI")
_CRC = struct.Struct(">I")
_DIGEST = 32
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,199}" + re.escape(SUFFIX))

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[Transaction, ...])
_local = threading.local()  # zstd contexts must not be shared between threads


class Header(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a batch file says about itself. Sizes in bytes, times in seconds since the epoch.

    ``number`` is the process id, ``committed`` the commit time of the oldest transaction (0.0: no transaction),
    ``packed`` and ``raw`` the payload's size in the file and unpacked, ``made`` when and ``writer`` by which Otter it
    was written."""

    channel_id: int
    pipeline_id: int
    epoch: int
    number: int
    part: Part
    start: Position
    end: Position
    committed: float
    transactions: int
    rows: int
    packed: int
    raw: int
    made: float
    writer: str
    tables: tuple[Table, ...]


class Packed(NamedTuple):
    """A batch as bytes; ``digest`` is the SHA-256 of ``data``, hex."""

    data: bytes
    digest: str
    header: Header

    @property
    def name(self) -> str:
        """``{channel}-{pipeline}-{epoch}-{number}-{digest}.otter``: other bytes have another name."""
        head = self.header
        numbers = (head.channel_id, head.pipeline_id, head.epoch, head.number)
        return "-".join(map(str, numbers)) + f"-{self.digest[:8]}{SUFFIX}"


def checked(name: str) -> str:
    """``name`` when it is the plain name of a batch file (no path in it); raises :class:`Damaged`."""
    if not _NAME.fullmatch(name):
        raise Damaged(f"{name!r} is not the name of a batch file", "a ticket or request was changed on its way")
    return name


def pack(batch: Batch, compress: bool = True) -> Packed:
    """``batch`` as bytes with their digest. Takes CPU time, 3 to 10 ms a MB. Raises :class:`Fatal` when too big."""
    raw = _encoder.encode(batch.transactions)
    if len(raw) > MAX_RAW:
        raise Fatal(
            f"batch {batch.number} has {len(raw)} bytes, a batch file holds {MAX_RAW}", "lower mainstemBatchsize"
        )
    payload = _compressor().compress(raw) if compress else raw
    header = _describe(batch, len(payload), len(raw))
    head = msgspec.json.encode(header)
    prefix = _PREFIX.pack(MAGIC, VERSION, COMPRESSED if compress else 0, len(head))
    data = b"".join((prefix, head, _CRC.pack(zlib.crc32(head, zlib.crc32(prefix))), payload))
    digest = hashlib.sha256(data)
    trailer = digest.digest()
    digest.update(trailer)  # goes on to the digest of the whole file, without a second pass
    return Packed(data + trailer, digest.hexdigest(), header)


def encode(batch: Batch, compress: bool = True) -> bytes:
    """The bytes of :func:`pack`."""
    return pack(batch, compress).data


def decode(data: bytes | memoryview, digest: str = "") -> Batch:
    """The batch in ``data``; nothing is unpacked before every byte is known to be good. ``digest``, when given, is the
    SHA-256 that all of ``data`` must have, hex. Raises :class:`Damaged`."""
    view = memoryview(data)
    header, flags, begin = _header(view)
    _check_length(len(view), begin + header.packed + _DIGEST)
    _check_digest(view, digest)
    raw = _unpack(view[begin:-_DIGEST], header, flags)
    try:
        transactions = _decoder.decode(raw)
    except msgspec.MsgspecError as error:
        raise Damaged(f"the batch file's transactions cannot be read: {error}", _AGAIN) from None
    return Batch(
        header.channel_id, header.pipeline_id, header.epoch, header.number, header.start, header.end, header.tables,
        transactions,
    )  # fmt: skip


def read(path: Path, digest: str = "") -> Batch:
    """:func:`decode` of a file; raises :class:`Damaged`, or :class:`Retryable` when it cannot be read."""
    try:
        return decode(path.read_bytes(), digest)
    except OSError as error:
        raise _unreadable(path, error) from None


def read_header(path: Path) -> Header:
    """The header alone, however large the file is: it may still be truncated behind it. Errors as :func:`read`."""
    try:
        with path.open("rb") as file:
            prefix = file.read(_PREFIX.size)
            length = _header_length(memoryview(prefix))
            return _header(memoryview(prefix + file.read(length + _CRC.size)))[0]
    except OSError as error:
        raise _unreadable(path, error) from None


def _describe(batch: Batch, packed: int, raw: int) -> Header:
    return Header(
        channel_id=batch.channel_id, pipeline_id=batch.pipeline_id, epoch=batch.epoch, number=batch.number,
        part=batch.part, start=batch.start, end=batch.end, committed=batch.committed,
        transactions=len(batch.transactions), rows=batch.rows, packed=packed, raw=raw, made=time.time(),
        writer=__version__, tables=batch.tables,
    )  # fmt: skip


def _header_length(view: memoryview) -> int:
    """The header's length, once magic and version are ours."""
    if len(view) < _PREFIX.size:
        raise Damaged(f"the batch file is truncated: it has {len(view)} bytes, not even a prefix", _AGAIN)
    magic, version, flags, length = _PREFIX.unpack_from(view)
    if magic != MAGIC:
        raise Damaged(f"this is not a batch file: it begins with {bytes(magic).hex()}", _AGAIN)
    if version > VERSION:
        raise Damaged(f"the batch file was written by a newer Otter: format {version}, we read {VERSION}",
                      "upgrade this node; if all nodes are alike, the file is damaged")  # fmt: skip
    if version < 1 or flags & ~COMPRESSED:
        raise Damaged(f"the batch file has format {version} with flags {flags}, which never existed", _AGAIN)
    if length > MAX_HEADER:
        raise Damaged(f"the batch file claims a header of {length} bytes, more than {MAX_HEADER}", _AGAIN)
    return int(length)


def _header(view: memoryview) -> tuple[Header, int, int]:
    """The header, the flags, and where the payload begins."""
    end = _PREFIX.size + _header_length(view)
    if len(view) < end + _CRC.size:
        raise Damaged(f"the batch file is truncated: it ends inside its header, after {len(view)} bytes", _AGAIN)
    if _CRC.unpack_from(view, end)[0] != zlib.crc32(view[:end]):
        raise Damaged("the batch file's header is damaged: its CRC does not fit", _AGAIN)
    try:
        header = msgspec.json.decode(view[_PREFIX.size : end], type=Header)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Damaged(f"the batch file's header cannot be read: {error}", _AGAIN) from None
    if not (0 <= header.raw <= MAX_RAW and header.packed >= 0):
        raise Damaged(f"the batch file claims {header.raw} bytes unpacked, more than {MAX_RAW}", _AGAIN)
    return header, _PREFIX.unpack_from(view)[2], end + _CRC.size


def _check_length(length: int, expected: int) -> None:
    if length < expected:
        raise Damaged(f"the batch file is truncated: it has {length} of {expected} bytes", _AGAIN)
    if length > expected:
        raise Damaged(f"the batch file has {length - expected} bytes too many behind its end", _AGAIN)


def _check_digest(view: memoryview, digest: str) -> None:
    found = hashlib.sha256(view[:-_DIGEST])
    trailer = view[-_DIGEST:]
    if found.digest() != trailer:
        raise Damaged("the batch file is damaged: its SHA-256 does not fit", _AGAIN)
    found.update(trailer)
    if digest and found.hexdigest() != digest:
        raise Damaged("the bytes are a whole batch file, but not the one that the ticket names", _AGAIN)


def _unpack(payload: memoryview, header: Header, flags: int) -> bytes | memoryview:
    """The payload as msgpack; what is unpacked is never larger than the header says."""
    if not flags & COMPRESSED:
        if len(payload) != header.raw:
            raise Damaged(f"the batch file's payload has {len(payload)} bytes, its header says {header.raw}", _AGAIN)
        return payload
    try:
        size = zstandard.frame_content_size(payload)
        if size != header.raw:  # before unpacking: zstandard would believe the frame whatever limit it is given
            raise Damaged(f"the batch file's payload unpacks to {size} bytes, its header says {header.raw}", _AGAIN)
        return _decompressor().decompress(payload, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Damaged(f"the batch file's payload cannot be unpacked: {error}", _AGAIN) from None


def _compressor() -> zstandard.ZstdCompressor:
    if not hasattr(_local, "compressor"):
        _local.compressor = zstandard.ZstdCompressor(level=1)
    found: zstandard.ZstdCompressor = _local.compressor
    return found


def _decompressor() -> zstandard.ZstdDecompressor:
    if not hasattr(_local, "decompressor"):
        _local.decompressor = zstandard.ZstdDecompressor()
    found: zstandard.ZstdDecompressor = _local.decompressor
    return found


def _unreadable(path: Path, error: OSError) -> Retryable:
    return Retryable(f"cannot read batch file {path.name}: {error.strerror}", f"look at {path.parent}")
