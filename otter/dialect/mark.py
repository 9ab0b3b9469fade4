"""The ``retl`` schema on a target: the mark that moves with the rows (D1), the conflict log, the parked rows (D9)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from otter.dialect import sql
from otter.dialect.connection import Connection
from otter.errors import Fatal, LeaseLost
from otter.model.batch import Position
from otter.model.process import Mark

SCHEMA = "retl"

#: Times are UTC. ``site`` is the data source that the rows came from.
TABLES: dict[str, str] = {
    "otter_mark": """CREATE TABLE IF NOT EXISTS retl.otter_mark (
        pipeline_id BIGINT NOT NULL, slot INT NOT NULL, channel_id BIGINT NOT NULL,
        epoch BIGINT NOT NULL, process_id BIGINT NOT NULL,
        gtid MEDIUMTEXT NOT NULL, `file` VARCHAR(512) NOT NULL, `offset` BIGINT NOT NULL,
        source_committed DATETIME(6) NULL, applied_at DATETIME(6) NOT NULL, site VARCHAR(64) NOT NULL,
        nid INT NOT NULL, PRIMARY KEY (pipeline_id, slot)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4""",
    "otter_conflict": """CREATE TABLE IF NOT EXISTS retl.otter_conflict (
        id BIGINT NOT NULL AUTO_INCREMENT, pipeline_id BIGINT NOT NULL, process_id BIGINT NOT NULL,
        schema_name VARCHAR(64) NOT NULL, table_name VARCHAR(64) NOT NULL, row_key MEDIUMTEXT NOT NULL,
        kind VARCHAR(8) NOT NULL, found LONGTEXT NULL, decision VARCHAR(64) NOT NULL, at DATETIME(6) NOT NULL,
        PRIMARY KEY (id), KEY (pipeline_id, at)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4""",
    "otter_parked": """CREATE TABLE IF NOT EXISTS retl.otter_parked (
        id BIGINT NOT NULL AUTO_INCREMENT, pipeline_id BIGINT NOT NULL, process_id BIGINT NOT NULL,
        schema_name VARCHAR(64) NOT NULL, table_name VARCHAR(64) NOT NULL, row_key MEDIUMTEXT NOT NULL,
        key_hash CHAR(64) CHARACTER SET ascii NOT NULL,
        new_key_hash CHAR(64) CHARACTER SET ascii NOT NULL DEFAULT '', kind VARCHAR(8) NOT NULL,
        old_image LONGTEXT NULL, new_image LONGTEXT NULL, current_image LONGTEXT NULL,
        error TEXT NOT NULL, at DATETIME(6) NOT NULL,
        PRIMARY KEY (id), KEY (pipeline_id, schema_name, table_name, key_hash)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4""",
}


@dataclass(frozen=True)
class Conflict:
    """A decision of the slow path. ``found`` is the row that was there (JSON), None = nothing was."""

    schema: str
    table: str
    key: str
    kind: str
    found: str | None
    decision: str


@dataclass(frozen=True)
class Parked:
    """A row change that waits. Images are JSON objects ``{column: SQL literal}``; ``current`` ``{column: text}``.
    ``hash`` is its key's; ``new_hash`` the other key's when the change moves the row there, else ""."""

    schema: str
    table: str
    key: str
    hash: str
    new_hash: str
    kind: str
    old: str | None
    new: str | None
    current: str | None
    error: str


def ensure(connection: Connection) -> None:
    """Makes the ``retl`` tables that are missing; needs CREATE only then."""
    found = connection.rows("SELECT table_name FROM information_schema.tables WHERE table_schema=%s", (SCHEMA,))
    missing = TABLES.keys() - {str(row[0]) for row in found}
    if not missing:
        return
    connection.execute(f"CREATE DATABASE IF NOT EXISTS {SCHEMA} CHARACTER SET utf8mb4")
    for table in sorted(missing):
        connection.execute(TABLES[table])


def read(connection: Connection, pipeline_id: int, slot: int = 0) -> Mark:
    """The mark; number 0 when the pipeline has never loaded here."""
    found = connection.rows(
        "SELECT epoch, process_id, gtid, `file`, `offset` FROM retl.otter_mark WHERE pipeline_id=%s AND slot=%s",
        (pipeline_id, slot),
    )
    if not found:
        return Mark()
    epoch, number, gtid, file, offset = found[0]
    return Mark(int(epoch), int(number), Position(str(gtid), str(file), int(offset)))


def first(connection: Connection, pipeline_id: int, channel_id: int, site: str, slot: int = 0) -> None:
    """Inserts the row with number 0 if there is none. Looks first: an INSERT would wait for whoever applies a batch."""
    there = "SELECT 1 FROM retl.otter_mark WHERE pipeline_id=%s AND slot=%s"
    if connection.value(there, (pipeline_id, slot)):
        return
    values: tuple[str | int, ...] = (pipeline_id, slot, channel_id, site)
    connection.execute(
        b"INSERT IGNORE INTO retl.otter_mark (pipeline_id, slot, channel_id, site, epoch, process_id, gtid, `file`, "
        b"`offset`, applied_at, nid) VALUES (%b, 0, 0, '', '', 0, UTC_TIMESTAMP(6), 0)"
        % b",".join(map(sql.literal, values))
    )


def claim(pipeline_id: int, epoch: int, slot: int = 0) -> bytes:
    """Raises the mark's epoch: whoever still works under an older one is refused from here on. Waits for the row lock,
    so what a predecessor is just committing is seen by the :func:`read` that follows."""
    return b"UPDATE retl.otter_mark SET epoch=%d WHERE pipeline_id=%d AND slot=%d AND epoch<=%d" % (
        epoch, pipeline_id, slot, epoch,
    )  # fmt: skip


def move(pipeline_id: int, mark: Mark, committed: float, nid: int, slot: int = 0) -> bytes:
    """The compare-and-set to ``mark``: comes first in its transaction, so a rival waits for the row lock. No matched
    row = somebody with a newer epoch was here, or it is done already (see :func:`verdict`)."""
    position = mark.position
    at = b"FROM_UNIXTIME(%.6f)" % committed if committed else sql.NULL
    return (
        b"UPDATE retl.otter_mark SET epoch=%d, process_id=%d, gtid=%b, `file`=%b, `offset`=%d, source_committed=%b, "
        b"applied_at=UTC_TIMESTAMP(6), nid=%d WHERE pipeline_id=%d AND slot=%d AND epoch<=%d AND process_id=%d"
        % (
            mark.epoch, mark.number, sql.literal(position.gtid), sql.literal(position.file), position.offset, at, nid,
            pipeline_id, slot, mark.epoch, mark.number - 1,
        )
    )  # fmt: skip


def verdict(found: Mark, wanted: Mark) -> None:
    """Why a compare-and-set to ``wanted`` changed nothing: returns when that number is applied already under the same
    epoch, else raises LeaseLost."""
    if found.epoch == wanted.epoch and found.number >= wanted.number:
        return
    if found.epoch > wanted.epoch:
        raise LeaseLost(f"the target is at epoch {found.epoch}, batch {wanted.number} is of epoch {wanted.epoch}")
    raise LeaseLost(f"the target's mark is {found.number}, batch {wanted.number} does not follow it")


def parked_keys(connection: Connection, pipeline_id: int) -> set[tuple[str, str]]:
    """(``schema.table``, key hash) of every key with parked rows."""
    found = connection.rows(
        "SELECT schema_name, table_name, key_hash FROM retl.otter_parked WHERE pipeline_id=%s UNION "
        "SELECT schema_name, table_name, new_key_hash FROM retl.otter_parked WHERE pipeline_id=%s AND new_key_hash<>''",
        (pipeline_id, pipeline_id),
    )
    return {(f"{schema}.{table}", str(key_hash)) for schema, table, key_hash in found}


def log(pipeline_id: int, number: int, conflicts: Sequence[Conflict]) -> bytes:
    """INSERT of conflict log rows."""
    columns = ("schema_name", "table_name", "row_key", "kind", "found", "decision")
    return _insert(
        "otter_conflict", columns, pipeline_id, number,
        ((row.schema, row.table, row.key, row.kind, row.found, row.decision) for row in conflicts),
    )  # fmt: skip


def park(pipeline_id: int, number: int, parked: Sequence[Parked]) -> bytes:
    """INSERT of parked rows; their ids give the order."""
    columns = (
        "schema_name", "table_name", "row_key", "key_hash", "new_key_hash", "kind", "old_image", "new_image",
        "current_image", "error",
    )  # fmt: skip
    return _insert(
        "otter_parked", columns, pipeline_id, number,
        (
            (
                row.schema, row.table, row.key, row.hash, row.new_hash,
                row.kind, row.old, row.new, row.current, row.error,
            )
            for row in parked
        ),
    )  # fmt: skip


def _insert(
    table: str, columns: tuple[str, ...], pipeline_id: int, number: int, rows: Iterable[tuple[str | None, ...]]
) -> bytes:
    head = (b"%d" % pipeline_id, b"%d" % number, b"UTC_TIMESTAMP(6)")
    literals = [(*head, *map(sql.literal, row)) for row in rows]
    names = [sql.name(column) for column in ("pipeline_id", "process_id", "at", *columns)]
    return sql.insert(sql.table(SCHEMA, table), names, literals)


def missing_grant(connection: Connection) -> Fatal:
    """What to say when ``ensure`` was refused."""
    user = connection.source.username
    return Fatal(
        f"data source {connection.source.name} does not let {user} make the schema {SCHEMA}",
        f"GRANT CREATE, SELECT, INSERT, UPDATE, DELETE ON {SCHEMA}.* TO {user};",
    )
