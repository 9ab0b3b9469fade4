"""Row images into values: a Python function generated once per table definition and image shape (DESIGN D4).

A body is a run of rows; a row is one image (INSERT, DELETE) or two (UPDATE: before, after). An image is a bitmap of
NULLs over the columns present, then the values that are not NULL. The generated code is straight-line: fixed-size
columns that follow each other come out of one ``struct`` call, together with the length of the string after them, and
there is a second, faster copy of it for images without any NULL. An after image takes what an UPDATE left alone from
the before image.
"""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from otter.binlog.types import Format, format_of
from otter.errors import Damaged
from otter.model.batch import Column, Kind, Table

Decoder = Callable[[bytes], list[Any]]
Counter = Callable[[bytes], int]

#: What damaged bytes can raise inside generated code.
DAMAGE = (IndexError, KeyError, ValueError, OverflowError, struct.error, zlib.error)


class Product(Enum):
    LITERALS = "literals"
    VALUES = "values"

    @property
    def null(self) -> str:
        return "NULL" if self is Product.LITERALS else "None"

    @property
    def absent(self) -> str:
        return "None" if self is Product.LITERALS else "{'absent': True}"


def counter(table: Table, kind: Kind, before: bytes, after: bytes) -> Counter:
    """A function ``body -> number of rows`` that only walks; Damaged when the body does not end with a row."""
    function: Counter = _kept("count", table, kind, before, after)
    return function


def literals(table: Table, kind: Kind, before: bytes, after: bytes) -> Decoder:
    """A function ``body -> rows``: INSERT and DELETE give tuples with one SQL literal (bytes) per column of the table
    (``None``: not in the image), UPDATE gives pairs (before, after) of such tuples."""
    function: Decoder = _kept("literals", table, kind, before, after)
    return function


def values(table: Table, kind: Kind, before: bytes, after: bytes) -> Decoder:
    """The same shape with JSON-able values: text decoded, bytes as ``{"hex": ...}``, SQL NULL as ``None`` and a column
    that is not in the image as ``{"absent": True}``."""
    function: Decoder = _kept("values", table, kind, before, after)
    return function


_recent: dict[tuple[str, int, int, bytes, bytes], tuple[Table, Any]] = {}


def _kept(product: str, table: Table, kind: Kind, before: bytes, after: bytes) -> Any:
    """Finds by identity first: hashing a wide table costs more than decoding a row of it."""
    key = (product, id(table), kind, before, after)
    found = _recent.get(key)
    if found is not None and found[0] is table:
        return found[1]
    function = _compiled(product, table, kind, before, after)
    if len(_recent) >= 4096:
        _recent.clear()
    _recent[key] = (table, function)
    return function


@functools.lru_cache(maxsize=2048)
def _compiled(product: str, table: Table, kind: Kind, before: bytes, after: bytes) -> Any:
    source = _Source(table)
    images = [source.image("before", before)] if kind != Kind.INSERT else []
    if kind != Kind.DELETE:
        images.append(source.image("after", after, before if kind == Kind.UPDATE else b""))
    if product == "count":
        return source.compile_counter(images)
    return source.compile_decoder(images, Product(product))


@dataclass(frozen=True)
class _Field:
    """A column in an image: ``bit`` is its place in the image's NULL bitmap. ``image`` is the image's first letter;
    ``old`` is the raw value in the before image, "" = there is none."""

    ordinal: int
    column: Column
    format: Format
    bit: int
    image: str = "a"
    old: str = ""

    @property
    def raw(self) -> str:
        return f"{self.image}{self.ordinal}"

    @property
    def name(self) -> str:
        return f"c{self.ordinal}"

    def expression(self, product: Product) -> str:
        template = self.format.literal if product is Product.LITERALS else self.format.value
        source = template.replace("RAW", self.raw).replace("#", str(self.ordinal))
        if not self.old:
            return source
        same = f"{self.raw} == {self.old}" + (" != 0" if self.format.code in _FLOATS else "")
        return f"before[{self.ordinal}] if {same} else {source}"


@dataclass(frozen=True)
class _Image:
    name: str
    fields: list[_Field]
    width: int  # columns of the table

    @property
    def null_bytes(self) -> int:
        return (len(self.fields) + 7) // 8

    @property
    def null_mask(self) -> int:
        """Bits of nullable columns; unused bits of the bitmap are set by the server and mean nothing."""
        return sum(1 << field.bit for field in self.fields if field.column.nullable)

    def read_nulls(self) -> list[str]:
        if self.null_bytes == 1:
            return ["nulls = body[p]", "p += 1"]
        return [f"nulls = from_bytes(body[p:p + {self.null_bytes}], 'little')", f"p += {self.null_bytes}"]


_INTEGERS = frozenset("bhiq")
_FLOATS = frozenset("fd")  # -0.0 equals 0.0 and is another value


def _has(bitmap: bytes, ordinal: int) -> bool:
    return bool(bitmap[ordinal >> 3] >> (ordinal & 7) & 1)


def _indent(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


class _Source:
    """Writes and compiles the source for one table."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.names: dict[str, Any] = {"from_bytes": int.from_bytes, "NULL": b"NULL", "DAMAGE": DAMAGE}
        self.names["damaged"] = self._damaged

    def _damaged(self, what: str) -> Damaged:
        return Damaged(f"a rows event of {self.table.address} cannot be read ({what})")

    def image(self, name: str, bitmap: bytes, before: bytes = b"") -> _Image:
        """``before`` is the other image's bitmap when an UPDATE has two."""
        fields: list[_Field] = []
        for ordinal, column in enumerate(self.table.columns):
            if _has(bitmap, ordinal):
                form = format_of(column, self.table.mariadb)
                slow = form.code.lower() not in _INTEGERS  # those are written as quickly as they are compared
                old = f"b{ordinal}" if before and slow and _has(before, ordinal) else ""
                fields.append(_Field(ordinal, column, form, len(fields), name[0], old))
                self.names.update({n.replace("#", str(ordinal)): v for n, v in form.names.items()})
        return _Image(name, fields, len(self.table.columns))

    def compile_decoder(self, images: list[_Image], product: Product) -> Decoder:
        loop: list[str] = []
        for image in images:
            loop += self._decode_image(image, product)
        loop.append(f"append({images[0].name if len(images) == 1 else '(before, after)'})")
        lines = ["rows = []", "append = rows.append", "p = 0", "end = len(body)", "while p < end:", *_indent(loop)]
        function: Decoder = self._compile(lines, "rows")
        return function

    def compile_counter(self, images: list[_Image]) -> Counter:
        loop: list[str] = []
        for image in images:
            loop += self._skip_image(image)
        lines = ["rows = 0", "p = 0", "end = len(body)", "while p < end:", *_indent([*loop, "rows += 1"])]
        function: Counter = self._compile(lines, "rows")
        return function

    def _compile(self, lines: list[str], result: str) -> Any:
        body = ["try:", *_indent(lines), "except DAMAGE as error:", "    raise damaged(type(error).__name__) from None"]
        body += ["if p != end:", "    raise damaged('its length is wrong')", f"return {result}"]
        text = "\n".join(["def decode(body):", *_indent(body)])
        # Our own text: column names and other input never get into it, only ordinals and sizes.
        exec(compile(text, f"<decoder of {self.table.address}>", "exec"), self.names)  # noqa: S102
        return self.names["decode"]

    # decoding

    def _decode_image(self, image: _Image, product: Product) -> list[str]:
        if not image.null_mask:
            return self._decode_straight(image, product, image.null_bytes)
        return [
            *image.read_nulls(),
            f"if nulls & {image.null_mask}:",
            *_indent(self._decode_careful(image, product)),
            "else:",
            *_indent(self._decode_straight(image, product, 0)),
        ]

    def _row(self, image: _Image, product: Product, cells: dict[int, str]) -> str:
        absent = product.absent
        row = ", ".join(cells.get(ordinal, absent) for ordinal in range(image.width))
        return f"{image.name} = ({row},)" if image.width else f"{image.name} = ()"

    def _decode_straight(self, image: _Image, product: Product, skip: int) -> list[str]:
        lines = self._read_runs(image.fields, skip)
        return [*lines, self._row(image, product, {f.ordinal: f.expression(product) for f in image.fields})]

    def _decode_careful(self, image: _Image, product: Product) -> list[str]:
        lines: list[str] = []
        run: list[_Field] = []
        cells: dict[int, str] = {}
        for field in image.fields:
            if not field.column.nullable:
                run.append(field)
                cells[field.ordinal] = field.expression(product)
                continue
            lines += self._read_runs(run, 0)
            run = []
            cells[field.ordinal] = field.name
            read = [*self._read_one(field), f"{field.name} = {field.expression(product)}"]
            # No value is equal to None: what was NULL before is never taken from there.
            null = f"{field.name} = {product.null}; {field.raw} = None"
            lines += [f"if nulls & {1 << field.bit}:", f"    {null}", "else:", *_indent(read)]
        lines += self._read_runs(run, 0)
        return [*lines, self._row(image, product, cells)]

    def _read_one(self, field: _Field) -> list[str]:
        """Slices and bytes are cheaper than ``struct`` for a single value."""
        code, size = field.format.code, field.format.size
        if code == "B":
            return [f"{field.raw} = body[p]", "p += 1"]
        if code.endswith("s"):
            return [f"q = p + {size}", f"{field.raw} = body[p:q]", "p = q"]
        return self._read_runs([field], 0)

    def _read_runs(self, fields: list[_Field], skip: int) -> list[str]:
        """Reads fields that are not NULL, after ``skip`` bytes: each run of fixed-size ones at once, with the length of
        the variable one after it."""
        lines: list[str] = []
        codes, targets, size = ("x" * skip), [], skip
        for field in fields:
            if field.format.code:
                codes, size = codes + field.format.code, size + field.format.size
                targets.append(field.raw)
                continue
            lines += self._read_variable(field, codes, targets, size)
            codes, targets, size = "", [], 0
        if targets:
            lines += [self._unpack(codes, targets), f"p += {size}"]
        elif size:
            lines.append(f"p += {size}")
        return lines

    def _read_variable(self, field: _Field, codes: str, targets: list[str], size: int) -> list[str]:
        width = field.format.size
        start = size + width
        if not targets and width == 1:
            at = f"p + {size}" if size else "p"
            return [f"q = p + {start}", f"p = q + body[{at}]", f"{field.raw} = body[q:p]"]
        code = {1: "B", 2: "H", 3: "3s", 4: "I"}[width]
        length = "from_bytes(l, 'little')" if width == 3 else "l"
        unpack = self._unpack(codes + code, [*targets, "l"])
        return [unpack, f"q = p + {start}", f"p = q + {length}", f"{field.raw} = body[q:p]"]

    def _unpack(self, codes: str, targets: list[str]) -> str:
        name = f"unpack_{codes}"
        self.names[name] = struct.Struct(f"<{codes}").unpack_from
        return f"{', '.join(targets)}, = {name}(body, p)"

    # counting

    def _skip_image(self, image: _Image) -> list[str]:
        if not image.null_mask:
            return self._skip_run(image.fields, image.null_bytes)
        lines = [*image.read_nulls(), f"if nulls & {image.null_mask}:"]
        careful: list[str] = []
        run: list[_Field] = []
        for field in image.fields:
            if not field.column.nullable:
                run.append(field)
                continue
            careful += [*self._skip_run(run, 0), f"if not nulls & {1 << field.bit}:"]
            careful += _indent(self._skip_run([field], 0))
            run = []
        careful += self._skip_run(run, 0)
        return [*lines, *_indent(careful), "else:", *_indent(self._skip_run(image.fields, 0))]

    def _skip_run(self, fields: list[_Field], skip: int) -> list[str]:
        lines: list[str] = []
        size = skip
        for field in fields:
            width = field.format.size
            if field.format.code:
                size += width
                continue
            if width == 1:
                length = f"body[p + {size}]"
            elif width == 2:
                length = f"(body[p + {size}] | body[p + {size + 1}] << 8)"
            else:
                length = f"from_bytes(body[p + {size}:p + {size + width}], 'little')"
            lines.append(f"p += {size + width} + {length}")
            size = 0
        return [*lines, f"p += {size}"] if size else lines
