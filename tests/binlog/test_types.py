"""Every type at its limits: written on a source, read by the stream, applied as literals, compared by the server."""

from __future__ import annotations

import re

from otter.model.batch import Kind
from tests.binlog.conftest import Read, Source

MODE = "SET sql_mode='STRICT_ALL_TABLES,ALLOW_INVALID_DATES', time_zone='+00:00'"

LIMITS: dict[str, list[str]] = {
    "TINYINT": ["-128", "127", "0"],
    "TINYINT UNSIGNED": ["0", "255"],
    "SMALLINT": ["-32768", "32767"],
    "SMALLINT UNSIGNED": ["65535"],
    "MEDIUMINT": ["-8388608", "8388607", "-1"],
    "MEDIUMINT UNSIGNED": ["16777215"],
    "INT": ["-2147483648", "2147483647"],
    "INT UNSIGNED": ["4294967295"],
    "BIGINT": ["-9223372036854775808", "9223372036854775807"],
    "BIGINT UNSIGNED": ["18446744073709551615"],
    "BOOLEAN": ["TRUE", "FALSE"],
    "FLOAT": ["1.1", "-3.4028234e38", "3.40282346e38", "1.17549435e-38", "1e-45", "16777217", "0.1e0/3", "-0e0"],
    "DOUBLE": ["1.1", "-1.7976931348623157e308", "2.2250738585072014e-308", "5e-324", "1e0/3", "123456789012345678"],
    "DECIMAL(10,2)": ["-99999999.99", "99999999.99", "0", "-0.01", "1234.5"],
    "DECIMAL(65,30)": ["-" + "9" * 35 + "." + "9" * 30, "0." + "0" * 29 + "1", "12345678901234567890.5"],
    "DECIMAL(65,0)": ["9" * 65, "-" + "9" * 65, "1000000000"],
    "DECIMAL(9,9)": ["0.999999999", "-0.000000001"],
    "DECIMAL(20,3)": ["12345678901234567.891", "-0.5"],
    "DECIMAL(18,9)": ["123456789.123456789", "-1.000000001"],
    "BIT(1)": ["1", "0"],
    "BIT(12)": ["b'101010101010'"],
    "BIT(64)": ["18446744073709551615", "1"],
    "DATE": ["'0000-00-00'", "'9999-12-31'", "'2026-00-00'", "'2026-02-31'", "'1000-01-01'"],
    "TIME": ["'-838:59:59'", "'838:59:59'", "'00:00:00'", "'-00:00:01'", "'12:34:56'"],
    "TIME(1)": ["'-00:00:00.3'", "'23:59:59.9'"],
    "TIME(3)": ["'-12:34:56.789'", "'100:00:00.001'"],
    "TIME(6)": ["'-838:59:59.999999'", "'-00:00:00.000001'", "'-12:34:56.789012'", "'00:00:01.5'"],
    "DATETIME": ["'0000-00-00 00:00:00'", "'9999-12-31 23:59:59'", "'2026-00-15 01:02:03'", "'1000-01-01 00:00:00'"],
    "DATETIME(1)": ["'2026-11-23 12:34:56.7'"],
    "DATETIME(2)": ["'2026-11-23 12:34:56.78'"],
    "DATETIME(5)": ["'2026-11-23 12:34:56.78901'"],
    "DATETIME(6)": ["'9999-12-31 23:59:59.999999'", "'0000-00-00 00:00:00'"],
    "TIMESTAMP NULL": [
        "'0000-00-00 00:00:00'",
        "'1970-01-01 00:00:01'",
        "'2038-01-19 03:14:07'",
        "'2026-02-28 23:59:59'",
    ],
    "TIMESTAMP(6) NULL": ["'2038-01-19 03:14:07.999999'", "'0000-00-00 00:00:00'"],
    "TIMESTAMP(3) NULL": ["'2026-02-28 23:59:59.123'"],
    "YEAR": ["0", "1901", "2155", "2026"],
    "CHAR(10)": ["''", "'it''s'", "'a\\\\b'", "'trail  '", "'名字'", "'😀'"],
    "CHAR(255)": ["REPEAT('é',255)", "'x'"],
    "VARCHAR(50)": ["''", "'trail  '", "CHAR(0,10,13,26,39,92,34,37,95)", "'100% \\\\% \\\\_'", "'😀名'"],
    "VARCHAR(300)": ["REPEAT('x',300)", "'short'"],
    "BINARY(8)": ["x'0000000000000000'", "x'FF00'", "x'275C0027'", "x'0102030405060708'"],
    "VARBINARY(300)": ["x''", "x'00'", "x'E9275CFF00'", "REPEAT(x'5C27',100)"],
    "TINYBLOB": ["x'FF'", "x''"],
    "BLOB": ["REPEAT(x'00275C80FF',1000)"],
    "MEDIUMBLOB": ["REPEAT(x'ABCD',100000)"],
    "LONGBLOB": ["x'C3'"],
    "TINYTEXT": ["'it\\'s'"],
    "TEXT": ["REPEAT('名',5000)"],
    "MEDIUMTEXT": ["'a'"],
    "LONGTEXT": ["'\\\\\\''"],
    "ENUM('a','it''s','é','')": ["'a'", "'it''s'", "'é'", "''", "4"],
    "SET('a','b','it''s','é')": ["''", "'a,b,it''s,é'", "'é'", "'a,é'"],
    "JSON": ['\'{"a": [1, "x\\\\\\\\y", null]}\'', "'null'", "'\"\\'\"'"],
    "GEOMETRY": ["ST_GeomFromText('POINT(1 2)', 4326)", "ST_GeomFromText('LINESTRING(0 0,1 1)')"],
    "POINT": ["ST_GeomFromText('POINT(-1.5 1e300)')"],
    "UUID": ["'123e4567-e89b-12d3-a456-426655440000'", "'00000000-0000-0000-0000-000000000000'"],
    "INET4": ["'127.0.0.1'", "'0.0.0.0'"],
    "INET6": ["'::1'", "'2001:db8::ff00:42:8329'"],
    "VARCHAR(300) COMPRESSED": ["REPEAT('ab',150)", "''", "'x'"],
    "BLOB COMPRESSED": ["REPEAT(x'275C',5000)", "x'00'"],
    "TEXT CHARACTER SET latin1 COMPRESSED": ["REPEAT('é',400)"],
}


def columns_of(definitions: list[str]) -> str:
    return ", ".join(f"c{i} {definition} DEFAULT NULL" for i, definition in enumerate(definitions))


def fill(source: Source, table: str, cells: list[list[str]]) -> int:
    """Row n holds each column's n-th value, or NULL where it has fewer."""
    count = max(map(len, cells))
    for n in range(count):
        row = ", ".join(values[n] if n < len(values) else "NULL" for values in cells)
        source.run(MODE, f"INSERT INTO {table} VALUES ({n}, {row})")
    return count


def apply(source: Source, table: str, read: Read) -> None:
    """Literals as INSERTs, in a session as load has it."""
    with source.server.connect(source.schema) as connection, connection.cursor() as cursor:
        cursor.execute("SET NAMES utf8mb4")
        cursor.execute(MODE)
        for change in read.changes:
            rows = b",".join(b"(" + b",".join(row) + b")" for row in read.literals(change))
            cursor.execute(f"INSERT INTO {table} VALUES ".encode() + rows)


def differences(source: Source, table: str, copy: str, count: int, definitions: list[str]) -> list[str]:
    found = []
    for i, definition in enumerate(definitions):
        same = f"a.c{i} <=> b.c{i} AND HEX(a.c{i}) <=> HEX(b.c{i})"
        rows = source.run(f"SELECT COUNT(*) FROM {table} a JOIN {copy} b ON a.id = b.id WHERE {same}")[0][0]
        if rows != count:
            pairs = source.run(
                f"SELECT HEX(a.c{i}), HEX(b.c{i}) FROM {table} a JOIN {copy} b USING (id) WHERE NOT ({same})"
            )
            found.append(f"{definition}: {pairs}")
    return found


def round_trip(source: Source, definitions: list[str], cells: list[list[str]]) -> Read:
    source.run(f"CREATE TABLE t (id INT PRIMARY KEY, {columns_of(definitions)})", "CREATE TABLE copy LIKE t")
    start = source.head()
    count = fill(source, "t", cells)
    read = source.read(start)
    apply(source, "copy", read)
    assert differences(source, "t", "copy", count, definitions) == []
    return read


def test_limits(source: Source) -> None:
    read = round_trip(source, list(LIMITS), list(LIMITS.values()))
    for change in read.changes:
        assert change.rows == len(read.literals(change)) == len(read.values(change)) == 1
    shown = read.rows()[0]
    assert shown[0] == 0
    places = [1 + list(LIMITS).index(name) for name in ("BIGINT", "YEAR", "DATE", "TIME(6)", "VARBINARY(300)")]
    assert [shown[place] for place in places] == [
        -9223372036854775808, 0, "0000-00-00", "-838:59:59.999999", {"hex": ""},
    ]  # fmt: skip


def test_limits_not_null(source: Source) -> None:
    """The same through the fast path: no NULL anywhere, long runs of fixed-size columns."""
    definitions = [re.sub(r" NULL$", "", name) for name in LIMITS]
    columns = ", ".join(f"c{i} {definition} NOT NULL" for i, definition in enumerate(definitions))
    source.run(f"CREATE TABLE t (id INT PRIMARY KEY, {columns})", "CREATE TABLE copy LIKE t")
    start = source.head()
    count = max(map(len, LIMITS.values()))
    for n in range(count):
        row = ", ".join(values[n % len(values)] for values in LIMITS.values())
        source.run(MODE, f"INSERT INTO t VALUES ({n}, {row})")
    read = source.read(start)
    apply(source, "copy", read)
    assert differences(source, "t", "copy", count, definitions) == []


def test_literals_are_the_same_in_every_image(source: Source) -> None:
    """Load uses literals as keys: insert, update and delete must spell a value the same way."""
    columns = columns_of(list(LIMITS))
    source.run(f"CREATE TABLE t (id INT PRIMARY KEY, {columns}, changed INT NOT NULL DEFAULT 0)")
    start = source.head()
    for n in range(3):
        row = ", ".join(values[n] if n < len(values) else "NULL" for values in LIMITS.values())
        source.run(MODE, f"INSERT INTO t VALUES ({n}, {row}, 0)")
    source.run(MODE, "UPDATE t SET changed = 1", "DELETE FROM t")
    read = source.read(start)
    inserted = [row for change in read.changes if change.kind == Kind.INSERT for row in read.literals(change)]
    updated = [row for change in read.changes if change.kind == Kind.UPDATE for row in read.literals(change)]
    deleted = [row for change in read.changes if change.kind == Kind.DELETE for row in read.literals(change)]
    assert [before for before, _ in updated] == inserted
    assert [after for _, after in updated] == deleted
    assert [after[-1] for _, after in updated] == [b"1"] * 3
    assert sum(change.rows for change in read.changes) == 9


def test_every_character_set(source: Source) -> None:
    """All of ASCII, all high bytes of one-byte sets, and text in several scripts, in each of the server's sets."""
    sets = source.run("SELECT character_set_name, maxlen FROM information_schema.character_sets ORDER BY 1")
    charsets = [(name, size) for name, size in sets if name not in ("binary", "filename")]
    ascii_text = bytes(range(1, 128)).hex()
    definitions, cells = [], []
    for name, size in charsets:
        definitions.append(f"VARCHAR(200) CHARACTER SET {name}")
        texts = [
            f"CONVERT(_utf8mb4 x'{ascii_text}' USING {name})",
            f"CONVERT(_utf8mb4'é 中文 Я א ไ {{}}' USING {name})",
        ]
        high = f"_{name} x'{bytes(range(128, 256)).hex()}'" if size == 1 and name != "ascii" else "''"
        cells.append([*texts, high])
    source.run("SET NAMES utf8mb4")
    sql = ", ".join(f"c{i} {definition} DEFAULT NULL" for i, definition in enumerate(definitions))
    source.run(f"CREATE TABLE t (id INT PRIMARY KEY, {sql})", "CREATE TABLE copy LIKE t")
    start = source.head()
    for n in range(3):
        source.run("SET sql_mode=''", f"INSERT INTO t VALUES ({n}, {', '.join(cell[n] for cell in cells)})")
    read = source.read(start)
    apply(source, "copy", read)
    assert differences(source, "t", "copy", 3, definitions) == []


def test_labels_in_other_character_sets(source: Source) -> None:
    definitions = [
        "ENUM('é','b') CHARACTER SET latin1", "SET('é','ü') CHARACTER SET latin1", "ENUM('中','文') CHARACTER SET gbk",
        "SET('a','中') CHARACTER SET utf16", "ENUM('Я') CHARACTER SET cp1251", "VARCHAR(5) CHARACTER SET koi8r",
        "ENUM('x') CHARACTER SET utf16",
    ]  # fmt: skip
    cells = [["'é'", "'b'"], ["'é,ü'", "''"], ["'文'", "'中'"], ["'a,中'", "'中'"], ["'Я'"], ["'Я'"], ["'x'"]]
    read = round_trip(source, definitions, cells)
    assert read.rows()[0] == (0, "é", "é,ü", "文", "a,中", "Я", "Я", "x")


def test_invalid_enum_is_empty(source: Source) -> None:
    source.run("CREATE TABLE t (id INT PRIMARY KEY, e ENUM('a'))")
    start = source.head()
    source.run("SET sql_mode=''", "INSERT INTO t VALUES (1, 'nothing like that')")
    read = source.read(start)
    assert read.literals(read.changes[0]) == [(b"1", b"''")]


def test_old_temporal_types(own_source: Source) -> None:
    own_source.run("SET GLOBAL mysql56_temporal_format=OFF")
    try:
        definitions = ["DATETIME", "TIME", "TIMESTAMP NULL"]
        cells = [
            ["'0000-00-00 00:00:00'", "'9999-12-31 23:59:59'", "'2026-00-15 01:02:03'"],
            ["'-838:59:59'", "'838:59:59'", "'00:00:01'"],
            ["'0000-00-00 00:00:00'", "'2038-01-19 03:14:07'"],
        ]
        own_source.run(f"CREATE TABLE t (id INT PRIMARY KEY, {columns_of(definitions)})")
    finally:
        own_source.run("SET GLOBAL mysql56_temporal_format=ON")
    own_source.run(f"CREATE TABLE copy (id INT PRIMARY KEY, {columns_of(definitions)})")
    start = own_source.head()
    count = fill(own_source, "t", cells)
    read = own_source.read(start)
    assert [column.type for column in read.stream.tables[0].columns[1:]] == [12, 11, 7]
    apply(own_source, "copy", read)
    assert differences(own_source, "t", "copy", count, definitions) == []


def test_wide_table(source: Source) -> None:
    """More than 250 columns: lengths take three bytes, bitmaps many."""
    names = [f"c{i}" for i in range(300)]
    source.run(f"CREATE TABLE t ({', '.join(f'{name} TINYINT' for name in names)})")
    start = source.head()
    source.run(f"INSERT INTO t VALUES ({', '.join(str(i % 100) if i % 7 else 'NULL' for i in range(300))})")
    read = source.read(start)
    expected = tuple(b"%d" % (i % 100) if i % 7 else b"NULL" for i in range(300))
    assert read.literals(read.changes[0]) == [expected]
    assert [column.name for column in read.stream.tables[0].columns] == names


def test_minimal_image_leaves_columns_absent(source: Source) -> None:
    source.run("CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(10))", "INSERT INTO t VALUES (1, 2, 'x')")
    start = source.head()
    source.run("SET SESSION binlog_row_image=MINIMAL", "UPDATE t SET a = 3", "DELETE FROM t")
    read = source.read(start)
    update, delete = read.changes
    assert read.literals(update) == [((b"1", None, None), (None, b"3", None))]
    assert read.literals(delete) == [(b"1", None, None)]
    assert read.values(delete) == [(1, {"absent": True}, {"absent": True})]


def test_keys_of_tables(source: Source) -> None:
    source.run(
        "CREATE TABLE a (x INT, y INT, z INT, PRIMARY KEY (z, x))",
        "CREATE TABLE b (x VARCHAR(100) PRIMARY KEY, y VARCHAR(100))",
        "CREATE TABLE c (x INT, y TEXT, PRIMARY KEY (y(10), x))",
        "CREATE TABLE d (x INT)",
    )
    start = source.head()
    for table, row in (("a", "1,2,3"), ("b", "'1','2'"), ("c", "1,'2'"), ("d", "1")):
        source.run(f"INSERT INTO {table} VALUES ({row})")
    keys = {table.name: table.key for table in source.read(start).stream.tables}
    assert keys == {"a": (2, 0), "b": (0,), "c": (1, 0), "d": ()}
