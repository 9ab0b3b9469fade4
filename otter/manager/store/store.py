"""The store of replication objects: one catalog, changed by pure edits, each in one transaction.

Every writer first moves ``system.version``, and by that waits for every other writer, also of another manager.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from otter.manager import rules
from otter.manager.catalog import Catalog, completed
from otter.manager.changes import Action, changes
from otter.manager.store import rows
from otter.manager.store import tables as t
from otter.manager.store.engine import transaction

Edit = Callable[[Catalog], Catalog]
#: Records of who changed what that are kept.
LOG_RECORDS = 10_000


def preview(catalog: Catalog, edit: Edit) -> Catalog:
    """What ``edit`` would make of ``catalog``: numbered, with tables for its pairs, and checked."""
    new = completed(edit(catalog))
    rules.check(new)
    return new


class Store:
    """Blocking; any thread. Raises what edit and rules raise, and :class:`Retryable` when the database is away."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._cached = Catalog()

    def version(self) -> int:
        with transaction(self.engine) as connection:
            return _version(connection)

    def catalog(self) -> Catalog:
        """The newest catalog; read again only when its version moved."""
        with transaction(self.engine) as connection:
            if _version(connection) != self._cached.version:
                self._cached = rows.load(connection)
            return self._cached

    def edit(self, who: str, edit: Edit) -> Catalog:
        """Carries out ``edit`` and returns the next catalog; nothing moves when nothing differs."""
        with contextlib.suppress(_Unchanged), transaction(self.engine, writes=True) as connection:
            connection.execute(update(t.system).values(version=t.system.c.version + 1))
            old = rows.load(connection)
            new = preview(old, edit)
            if new == old:
                raise _Unchanged  # takes the version back
            rows.save(connection, old, new)
            _log(connection, who, changes(old, new))
        return self.catalog()


class _Unchanged(Exception):
    """Not an error: the way out of a transaction that changed nothing."""


def _version(connection: Connection) -> int:
    return int(connection.execute(select(t.system.c.version)).scalar_one())


def _log(connection: Connection, who: str, actions: Iterator[Action]) -> None:
    at = time.time()
    records = [
        {"at": at, "user_name": who, "action": action.action, "kind": action.kind, "name": action.name[:255],
         "message": ", ".join(action.fields)}
        for action in actions
    ]  # fmt: skip
    if records:
        connection.execute(insert(t.log_record), records)
    newest = connection.execute(select(func.max(t.log_record.c.id))).scalar() or 0
    connection.execute(delete(t.log_record).where(t.log_record.c.id <= newest - LOG_RECORDS))
