"""A server as a whole: where its binlog ends, how its clock runs, whether it is set up for us (``otter doctor``)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from otter.dialect import mark, schema
from otter.dialect.connection import Connection, SqlError
from otter.dialect.schema import TargetTable
from otter.errors import Fatal
from otter.model.batch import Position
from otter.model.config import Pair
from otter.model.stats import Check

Role = Literal["source", "target"]

#: Clock differences above this many seconds are worth a line (delay is corrected by the measured offset anyway).
CLOCK_LIMIT = 1.0


def head(connection: Connection) -> Position:
    """The newest position of the server's binlog. Raises Fatal without binlog, :class:`SqlError` without the grant."""
    status = _status(connection)
    if status is None:
        raise Fatal(
            f"data source {connection.source.name} has no binlog", "set log_bin in its configuration and restart it"
        )
    file, offset = str(status["file"]), int(status["position"])
    return Position(_gtid(connection, status), file, offset)


def _status(connection: Connection) -> dict[str, Any] | None:
    """MySQL 8.4 knows only the newer statement, older servers and MariaDB only the other."""
    try:
        rows = connection.named_rows("SHOW MASTER STATUS")
    except SqlError as error:
        if error.code != 1064:
            raise
        rows = connection.named_rows("SHOW BINARY LOG STATUS")
    return rows[0] if rows else None


def _gtid(connection: Connection, status: dict[str, Any]) -> str:
    """The GTIDs of the binlog, at or just after the file and offset of ``status`` (where both are known, GTIDs decide;
    MariaDB's BINLOG_GTID_POS would be exact, but reads through the whole file)."""
    if connection.is_mariadb:
        return str(connection.value("SELECT @@gtid_binlog_pos") or "")
    if str(connection.value("SELECT @@gtid_mode")).upper() != "ON":
        return ""
    return str(status["executed_gtid_set"]).replace("\n", "")


def binlogs(connection: Connection) -> list[tuple[str, int]]:
    """Names and sizes (bytes) of the binlog files that the server still has, oldest first."""
    return [(str(row[0]), int(row[1])) for row in connection.rows("SHOW BINARY LOGS")]


def clock_offset(connection: Connection) -> float:
    """Server clock minus ours, seconds; of five tries the one with the shortest round trip."""
    tries = []
    for _ in range(5):
        start = time.time()
        server = float(connection.value("SELECT UNIX_TIMESTAMP(SYSDATE(6))"))
        end = time.time()
        tries.append((end - start, server - (start + end) / 2))
    return min(tries)[1]


def check(connection: Connection, role: Role) -> list[Check]:
    """What ``otter doctor`` says of a data source in this role."""
    found = _Checks(f"data source {connection.source.name}")
    grants = Grants.read(connection)
    if role == "source":
        _check_binlog(connection, found)
        _check_reading(connection, grants, found)
    else:
        _check_writing(connection, grants, found)
    _check_clock(connection, found)
    return found.checks


class _Checks:
    """Collects the lines about one subject."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self.checks: list[Check] = []

    def say(self, name: str, ok: bool, words: str, hint: str = "") -> None:
        self.checks.append(Check(subject=self._subject, name=name, ok=ok, words=words, hint="" if ok else hint))


def _variable(connection: Connection, name: str) -> str:
    rows = connection.rows("SHOW GLOBAL VARIABLES LIKE %s", (name.replace("_", r"\_"),))
    return str(rows[0][1]) if rows else ""


#: Setting, what it must be, how to get there.
_BINLOG = (
    ("log_bin", "ON", "set log_bin=binlog in the server's configuration and restart it"),
    ("binlog_format", "ROW", "SET GLOBAL binlog_format=ROW; (and in the server's configuration)"),
    ("binlog_row_image", "FULL", "SET GLOBAL binlog_row_image=FULL; (and in the server's configuration)"),
    ("binlog_row_metadata", "FULL", "SET GLOBAL binlog_row_metadata=FULL; (and in the server's configuration)"),
)


def _check_binlog(connection: Connection, found: _Checks) -> None:
    for name, wanted, hint in _BINLOG:
        value = _variable(connection, name)
        if name == "binlog_format" and not value:
            continue  # newest MySQL has rows only and no such setting
        found.say(name, value.upper() == wanted, f"{name} is {value or 'unknown here'}, must be {wanted}", hint)
    server_id = _variable(connection, "server_id")
    found.say("server_id", server_id != "0", f"server_id is {server_id}", "SET GLOBAL server_id=<a number of its own>;")
    if connection.is_mariadb:
        position = connection.value("SELECT @@gtid_binlog_pos")
        found.say("gtid", True, f"GTID position {position or 'still empty'}")
    else:
        mode = _variable(connection, "gtid_mode")
        words = "GTIDs are on" if mode == "ON" else f"gtid_mode is {mode}: positions are file and offset"
        found.say("gtid", True, words)
    _check_relayed(connection, found)


def _check_relayed(connection: Connection, found: _Checks) -> None:
    """A source that is itself a replica writes what it applies into its binlog only with log_slave_updates."""
    try:
        replica = connection.rows("SHOW SLAVE STATUS" if connection.is_mariadb else "SHOW REPLICA STATUS")
    except SqlError:
        return  # no grant to look: then we do not know
    if replica:
        name = "log_slave_updates" if _variable(connection, "log_slave_updates") else "log_replica_updates"
        value = _variable(connection, name)
        found.say(
            name, value == "ON", f"the server is a replica and {name} is {value}",
            f"set {name}=ON in its configuration and restart it, or read from its master",
        )  # fmt: skip


def _check_reading(connection: Connection, grants: Grants, found: _Checks) -> None:
    user = connection.source.username
    slave = grants.allow("REPLICATION SLAVE")
    found.say(
        "grant REPLICATION SLAVE", slave, f"{user} {_may(slave)} read the binlog",
        f"GRANT REPLICATION SLAVE ON *.* TO {grants.user};",
    )  # fmt: skip
    try:
        position = _status(connection)
        words = f"newest position {position['file']}:{position['position']}" if position else "no binlog"
        found.say("grant BINLOG MONITOR", True, f"{user} may ask for the newest position: {words}")
    except SqlError as error:
        name = "BINLOG MONITOR" if connection.is_mariadb else "REPLICATION CLIENT"
        hint = f"GRANT {name} ON *.* TO {grants.user};"
        found.say("grant BINLOG MONITOR", False, f"{user} may not ask for the newest position: {error.text}", hint)


def _may(yes: bool) -> str:
    return "may" if yes else "may not"


def _check_writing(connection: Connection, grants: Grants, found: _Checks) -> None:
    user = connection.source.username
    for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE"):
        yes = grants.allow(privilege, mark.SCHEMA)
        found.say(
            f"grant {privilege}", yes, f"{user} {_may(yes)} {privilege} in schema {mark.SCHEMA}",
            f"GRANT {privilege} ON {mark.SCHEMA}.* TO {grants.user};",
        )  # fmt: skip
    tables = connection.rows("SELECT table_name FROM information_schema.tables WHERE table_schema=%s", (mark.SCHEMA,))
    made = mark.TABLES.keys() <= {str(row[0]) for row in tables}
    create = made or grants.allow("CREATE", mark.SCHEMA)
    found.say(
        "retl", create, f"the tables of schema {mark.SCHEMA} " + ("exist" if made else f"are missing; {user} "
        f"{_may(create)} make them"), f"GRANT CREATE ON {mark.SCHEMA}.* TO {grants.user};",
    )  # fmt: skip
    read_only = _variable(connection, "read_only")
    writable = read_only != "ON" or grants.allow("SUPER") or grants.allow("READ_ONLY ADMIN")
    found.say("read_only", writable, f"read_only is {read_only}", "SET GLOBAL read_only=OFF;")
    logged = _variable(connection, "log_bin") != "ON" or _variable(connection, "binlog_format") in ("ROW", "MIXED", "")
    found.say(
        "binlog_format", logged, "its own binlog takes rows" if logged else "its own binlog takes statements",
        "SET GLOBAL binlog_format=ROW; (and in the server's configuration)",
    )  # fmt: skip


def _check_clock(connection: Connection, found: _Checks) -> None:
    offset = clock_offset(connection)
    found.say(
        "clock", abs(offset) <= CLOCK_LIMIT, f"its clock is {abs(offset):.3f} s {'ahead' if offset > 0 else 'behind'}",
        "synchronise both machines' clocks (chrony); delays are corrected by the offset meanwhile",
    )  # fmt: skip


@dataclass(frozen=True)
class Grants:
    """What the account may do: (privileges, schema pattern, table) triples of SHOW GRANTS. ``user`` is quoted."""

    user: str
    lines: tuple[tuple[frozenset[str], str, str], ...]

    @classmethod
    def read(cls, connection: Connection) -> Grants:
        name, _, host = str(connection.value("SELECT CURRENT_USER()")).rpartition("@")
        lines = []
        for (line,) in connection.rows("SHOW GRANTS"):
            found = re.match(r"GRANT (.+?) ON (?:TABLE )?(\*|`[^`]+`)\.(\*|`[^`]+`) TO ", str(line))
            if found:
                privileges = frozenset(part.strip().upper() for part in found[1].split(","))
                lines.append((privileges, found[2].strip("`").replace("\\", ""), found[3].strip("`")))
        return cls(f"'{name}'@'{host}'", tuple(lines))

    def allow(self, privilege: str, in_schema: str = "", table: str = "") -> bool:
        """On ``schema.table``; without schema globally."""
        return any(
            (privilege in privileges or "ALL PRIVILEGES" in privileges)
            and (pattern == "*" or (in_schema != "" and _like(pattern, in_schema)))
            and on in ("*", table)
            for privileges, pattern, on in self.lines
        )


def _like(pattern: str, name: str) -> bool:
    """Schema names in grants may hold % and _."""
    expression = re.escape(pattern).replace("%", ".*").replace("_", ".")
    return re.fullmatch(expression, name) is not None


def check_pairs(source: Connection, target: Connection, pairs: Sequence[Pair]) -> list[Check]:
    """Whether mapped tables exist on both sides, have a key, fit each other, and may be written."""
    grants = Grants.read(target)
    found: list[Check] = []
    for pair in pairs:
        lines = _Checks(f"pair {pair.source} → {pair.target_name}")
        _check_pair(source, target, pair, grants, lines)
        found += lines.checks
    return found


def _check_pair(source: Connection, target: Connection, pair: Pair, grants: Grants, found: _Checks) -> None:
    origin = _table(source, pair.source, "source table", found)
    goal = _table(target, pair.target_name, "target table", found)
    if origin is None or goal is None:
        return
    found.say(
        "key", goal.match is not None, "the target table has a key that names its rows" if goal.match else
        "the target table has neither a primary key nor a unique key of NOT NULL columns: rows are applied one by one",
        f"ALTER TABLE {goal.address} ADD PRIMARY KEY (...);",
    )  # fmt: skip
    wrong = list(_differences(origin, goal))
    found.say("columns", not wrong, "; ".join(words for words, _ in wrong) or "the columns fit",
              " ".join(hint for _, hint in wrong))  # fmt: skip
    for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE"):
        if not grants.allow(privilege, goal.schema, goal.name):
            found.say(f"grant {privilege}", False, f"{target.source.username} may not {privilege} in {goal.address}",
                      f"GRANT {privilege} ON {goal.schema}.* TO {grants.user};")  # fmt: skip
    found.say("engine", goal.engine == "InnoDB", f"the target table's engine is {goal.engine}",
              f"ALTER TABLE {goal.address} ENGINE=InnoDB; (rows and mark must commit together)")  # fmt: skip
    if goal.triggers:
        found.say("triggers", False, f"triggers of {goal.address} fire for every row that is applied",
                  "drop those whose effects are copied from the source as rows anyway")  # fmt: skip


def _table(connection: Connection, address: str, what: str, found: _Checks) -> TargetTable | None:
    name, _, table = address.partition(".")
    try:
        read = schema.read(connection, name, table)
    except Fatal:
        found.say(what, False, f"{address} does not exist on data source {connection.source.name}",
                  f"create it there, or GRANT SELECT ON {address} TO {connection.source.username}")  # fmt: skip
        return None
    found.say(what, True, f"{address} exists on data source {connection.source.name}")
    return read


def _differences(source: TargetTable, target: TargetTable) -> Iterator[tuple[str, str]]:
    """(words, statement that mends it) for columns that do not fit."""
    for column in source.columns:
        goal = target.by_name.get(column.name.lower())
        if goal is None:
            yield (f"column {column.name} is missing on the target",
                   f"ALTER TABLE {target.address} ADD COLUMN `{column.name}` {column.type};")  # fmt: skip
        elif goal.data_type != column.data_type:
            yield (f"column {column.name} is {column.type} on the source and {goal.type} on the target",
                   f"ALTER TABLE {target.address} MODIFY COLUMN `{goal.name}` {column.type};")  # fmt: skip
    for goal in target.columns:
        if goal.name.lower() not in source.by_name and not goal.is_optional:
            yield (f"column {goal.name} is only on the target and has no default",
                   f"ALTER TABLE {target.address} ALTER COLUMN `{goal.name}` SET DEFAULT ...;")  # fmt: skip
