"""A target table as its server describes it: columns, every unique key, foreign keys in both directions, triggers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

from otter.dialect.connection import Connection
from otter.errors import Fatal

_JSON = re.compile(r"json_valid\(`[^`]+`\)", re.IGNORECASE)


@dataclass(frozen=True)
class TargetColumn:
    """``type`` is the full type text (``int(10) unsigned``), ``data_type`` its first word; ``collation`` "" = not text.
    ``auto_update``: ON UPDATE CURRENT_TIMESTAMP, so an UPDATE that does not set it changes it."""

    name: str
    type: str
    data_type: str
    nullable: bool
    default: str | None
    generated: bool
    auto_update: bool
    collation: str

    @property
    def is_optional(self) -> bool:
        """May be left out of an INSERT."""
        return self.nullable or self.default is not None or self.generated


@dataclass(frozen=True)
class UniqueKey:
    """``whole`` is False when the key sees less or more than its columns' values (prefix, expression)."""

    name: str
    columns: tuple[str, ...]
    whole: bool = True


@dataclass(frozen=True)
class ForeignKey:
    """``child`` (schema, table) refers to ``parent``. ``cascades``: deleting or changing a parent changes children."""

    name: str
    child: tuple[str, str]
    columns: tuple[str, ...]
    parent: tuple[str, str]
    parent_columns: tuple[str, ...]
    cascades: bool = False


@dataclass(frozen=True)
class TargetTable:
    """``keys`` are all unique keys, the primary key first. ``foreign`` are those in which it is child or parent.
    ``checks``: it has CHECK constraints beside that of a JSON column (looked for on MariaDB only)."""

    schema: str
    name: str
    columns: tuple[TargetColumn, ...]
    keys: tuple[UniqueKey, ...] = ()
    foreign: tuple[ForeignKey, ...] = ()
    triggers: bool = False
    engine: str = "InnoDB"
    checks: bool = False

    @property
    def address(self) -> str:
        return f"{self.schema}.{self.name}"

    @cached_property
    def by_name(self) -> dict[str, TargetColumn]:
        """Columns by lower-case name (column names are case-insensitive everywhere)."""
        return {column.name.lower(): column for column in self.columns}

    @cached_property
    def match(self) -> UniqueKey | None:
        """The key that names a row: the primary key, else the first unique key of NOT NULL columns."""
        return next((key for key in self.keys if key.whole and self._never_null(key)), None)

    def _never_null(self, key: UniqueKey) -> bool:
        return all(not self.by_name[column.lower()].nullable for column in key.columns)


def read(connection: Connection, schema: str, table: str, foreign: Iterable[ForeignKey] | None = None) -> TargetTable:
    """The table as it is now; ``foreign`` are the server's :func:`foreign_keys`, where the caller has them already.
    Raises Fatal when it is missing, :class:`SqlError` from the server."""
    columns = tuple(_columns(connection, schema, table))
    if not columns:
        raise Fatal(
            f"target table {schema}.{table} does not exist on data source {connection.source.name}",
            f"create it there, or grant SELECT on it to {connection.source.username}, or mend the mapping pair",
        )
    triggers = connection.value(
        "SELECT COUNT(*) FROM information_schema.triggers WHERE event_object_schema=%s AND event_object_table=%s",
        (schema, table),
    )
    engine = connection.value(
        "SELECT engine FROM information_schema.tables WHERE table_schema=%s AND table_name=%s", (schema, table)
    )
    everything = foreign_keys(connection) if foreign is None else foreign
    return TargetTable(
        schema,
        table,
        columns,
        tuple(_keys(connection, schema, table)),
        tuple(key for key in everything if (schema, table) in (key.child, key.parent)),
        bool(triggers),
        str(engine),
        connection.is_mariadb and _has_checks(connection, schema, table),
    )


def _has_checks(connection: Connection, schema: str, table: str) -> bool:
    clauses = connection.rows(
        "SELECT check_clause FROM information_schema.check_constraints WHERE constraint_schema=%s AND table_name=%s",
        (schema, table),
    )
    return any(not _JSON.fullmatch(_text(clause)) for (clause,) in clauses)


def _columns(connection: Connection, schema: str, table: str) -> Iterator[TargetColumn]:
    for row in connection.named_rows(
        "SELECT column_name, column_type, data_type, is_nullable, column_default, extra, collation_name "
        "FROM information_schema.columns WHERE table_schema=%s AND table_name=%s ORDER BY ordinal_position",
        (schema, table),
    ):
        extra = str(row["extra"]).upper()
        # MySQL marks expression defaults DEFAULT_GENERATED; those columns are ordinary ones.
        generated = "GENERATED" in extra.replace("DEFAULT_GENERATED", "")
        default = row["column_default"]
        yield TargetColumn(
            name=_text(row["column_name"]),
            type=_text(row["column_type"]),
            data_type=_text(row["data_type"]).lower(),
            nullable=row["is_nullable"] == "YES",
            default="auto_increment" if "AUTO_INCREMENT" in extra else None if default is None else _text(default),
            generated=generated,
            auto_update="ON UPDATE" in extra,
            collation=_text(row["collation_name"] or ""),
        )


def _keys(connection: Connection, schema: str, table: str) -> Iterator[UniqueKey]:
    parts = connection.named_rows(
        "SELECT index_name, column_name, sub_part FROM information_schema.statistics "
        "WHERE table_schema=%s AND table_name=%s AND non_unique=0 "
        "ORDER BY index_name<>'PRIMARY', index_name, seq_in_index",
        (schema, table),
    )
    for index, group in _grouped(parts, "index_name"):
        columns = tuple(_text(part["column_name"]) for part in group if part["column_name"] is not None)
        whole = all(part["sub_part"] is None and part["column_name"] is not None for part in group)
        yield UniqueKey(index, columns, whole)


def foreign_keys(connection: Connection) -> list[ForeignKey]:
    """All of the server's: asked for the children of one table, it would open every table just as well."""
    parts = connection.named_rows(
        "SELECT k.table_schema, k.table_name, k.constraint_name, k.column_name, k.referenced_table_schema, "
        "k.referenced_table_name, k.referenced_column_name, r.delete_rule, r.update_rule "
        "FROM information_schema.key_column_usage k JOIN information_schema.referential_constraints r "
        "ON r.constraint_schema=k.constraint_schema AND r.constraint_name=k.constraint_name "
        "AND r.table_name=k.table_name WHERE k.referenced_table_name IS NOT NULL "
        "ORDER BY k.table_schema, k.table_name, k.constraint_name, k.ordinal_position"
    )
    return [_foreign_key(group) for _, group in _grouped(parts, "table_schema", "table_name", "constraint_name")]


def _foreign_key(parts: list[dict[str, Any]]) -> ForeignKey:
    head = parts[0]
    rules = {_text(head["delete_rule"]), _text(head["update_rule"])}
    return ForeignKey(
        name=_text(head["constraint_name"]),
        child=(_text(head["table_schema"]), _text(head["table_name"])),
        columns=tuple(_text(part["column_name"]) for part in parts),
        parent=(_text(head["referenced_table_schema"]), _text(head["referenced_table_name"])),
        parent_columns=tuple(_text(part["referenced_column_name"]) for part in parts),
        cascades=not rules <= {"RESTRICT", "NO ACTION"},
    )


def _grouped(rows: Iterable[dict[str, Any]], *by: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for key, group in groupby(rows, lambda row: ".".join(_text(row[column]) for column in by)):
        yield key, list(group)


def _text(value: object) -> str:
    """MySQL 8 gives some columns of information_schema as bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)
