"""The door to the store's database: its address, its connections, its transactions, its schema."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from otter.errors import BadConfig, Retryable
from otter.settings import Settings

_MYSQL = re.compile(
    r"^(?:mysql|mariadb)://(?P<host>\[[^]]+\]|[^:/?]+)(?::(?P<port>\d+))?/(?P<database>[^/?]+)(?:\?.*)?$"
)
logging.getLogger("alembic").setLevel(logging.WARNING)  # says on every start that there is nothing to do
#: Seconds a writer waits for another one, and a second manager for the first one's migrations.
LOCK_WAIT = 60


def url_of(settings: Settings) -> URL:
    """Address of the store; raises :class:`BadConfig`. ``jdbc:mysql://…`` of an old otter.properties is fine too."""
    given = str(settings["otter.database.url"])
    plain = given.removeprefix("jdbc:")
    if plain.startswith("sqlite:///"):
        return URL.create("sqlite", database=str(settings.home / plain.removeprefix("sqlite:///")))
    match = _MYSQL.match(plain)
    if match is None:
        raise BadConfig("otter.database.url", given, "give sqlite:///FILE or mysql://HOST:PORT/DB")
    return URL.create(
        "mysql+pymysql",
        username=settings["otter.database.username"] or None,
        password=settings["otter.database.password"] or None,
        host=match["host"].strip("[]"),
        port=int(match["port"] or 3306),
        database=match["database"],
        query={"charset": "utf8mb4"},
    )


def open_engine(url: URL) -> Engine:
    """An engine; connects when it is first used."""
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True, pool_recycle=3600, connect_args={"connect_timeout": 10})
    file = Path(url.database or "")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)  # it holds password hashes and sealed passwords
    engine = create_engine(url, connect_args={"timeout": LOCK_WAIT})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # we begin transactions ourselves: the driver's own way breaks their isolation
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes the lock at once: two readers that both want to write would refuse each other."""
    writes = connection.get_execution_options().get("otter_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextlib.contextmanager
def transaction(engine: Engine, *, writes: bool = False) -> Iterator[Connection]:
    """A connection with a transaction that is committed at the end. A database that does not answer is
    :class:`Retryable`."""
    try:
        with engine.connect().execution_options(otter_writes=writes) as connection, connection.begin():
            yield connection
    except IntegrityError:
        raise  # a rule of ours let something through: not to be mistaken for an outage
    except SQLAlchemyError as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise Retryable(
            f"the manager's store does not answer: {type(cause).__name__} {cause}",
            "check otter.database.url and its server",
        ) from None


def migrate(engine: Engine) -> None:
    """Brings the schema to this version. Two managers may do it at once: the second waits for the first."""
    if engine.dialect.name != "sqlite":  # who waited must see what the other did meanwhile, not an older snapshot
        engine = engine.execution_options(isolation_level="READ COMMITTED")
    with transaction(engine, writes=True) as connection, _alone(connection):
        config = alembic.config.Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "head")


@contextlib.contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """SQLite's writer lock is held already; on MySQL, DDL ends transactions, so a named lock does it."""
    if connection.dialect.name == "sqlite":
        yield
        return
    name = {"name": f"otter_migrate_{connection.engine.url.database}"[:64], "seconds": LOCK_WAIT}
    if connection.execute(text("SELECT GET_LOCK(:name, :seconds)"), name).scalar() != 1:
        raise Retryable(
            "another manager migrates the store for too long", "look at that manager's log, then start this one"
        )
    try:
        yield
    finally:
        connection.execute(text("SELECT RELEASE_LOCK(:name)"), name)
