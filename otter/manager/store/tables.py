"""The store's tables, in the spirit of Otter's schema: names outside, numbers inside.

``node.id`` is the nid; ``channel.id`` and ``pipeline.id`` stand in znodes and marks. ``system`` is one row: the version
that every change moves (and that every writer locks first), and the last numbers given.
A change here needs a migration; a test compares the two.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()


def _table(name: str, *parts: Column[Any] | UniqueConstraint) -> Table:
    """On MySQL with a binary collation: names differ by case there too, as they do in Python."""
    return Table(name, metadata, *parts, mysql_engine="InnoDB", mysql_charset="utf8mb4", mysql_collate="utf8mb4_bin")


def _id() -> Column[int]:
    return Column("id", Integer, primary_key=True)


def _number() -> Column[int]:
    """A primary key that the manager gives and never gives again."""
    return Column("id", Integer, primary_key=True, autoincrement=False)


def _to(table: str, *, cascade: bool = False) -> ForeignKey:
    return ForeignKey(f"{table}.id", ondelete="CASCADE" if cascade else None)


def _text(name: str, length: int = 255) -> Column[str]:
    return Column(name, String(length), nullable=False)


system = _table(
    "system",
    _number(),
    Column("version", Integer, nullable=False),
    Column("last_nid", Integer, nullable=False),
    Column("last_channel", Integer, nullable=False),
    Column("last_pipeline", Integer, nullable=False),
)

zookeeper_cluster = _table(
    "zookeeper_cluster",
    _id(),
    Column("name", String(64), nullable=False, unique=True),
    Column("server_list", Text, nullable=False),
    Column("description", Text, nullable=False),
)

node = _table(
    "node",
    _number(),
    Column("name", String(64), nullable=False, unique=True),
    _text("ip"),
    Column("port", Integer, nullable=False),
    Column("download_port", Integer, nullable=False),
    _text("external_ip"),
    Column("use_external_ip", Boolean, nullable=False),
    Column("zookeeper_id", Integer, _to("zookeeper_cluster"), nullable=False),
    Column("description", Text, nullable=False),
)

data_media_source = _table(
    "data_media_source",
    _id(),
    Column("name", String(64), nullable=False, unique=True),
    _text("host"),
    Column("port", Integer, nullable=False),
    _text("username"),
    Column("password", Text, nullable=False),  # enc:... only
    _text("encoding", 64),
    Column("description", Text, nullable=False),
)

data_media = _table(
    "data_media",
    _id(),
    Column("source_id", Integer, _to("data_media_source"), nullable=False),
    _text("namespace", 64),
    _text("name", 64),
    Column("description", Text, nullable=False),
    UniqueConstraint("source_id", "namespace", "name", name="data_media_unique"),
)

channel = _table(
    "channel",
    _number(),
    Column("name", String(64), nullable=False, unique=True),
    Column("description", Text, nullable=False),
)

pipeline = _table(
    "pipeline",
    _number(),
    Column("channel_id", Integer, _to("channel"), nullable=False),
    Column("name", String(64), nullable=False),
    Column("source_id", Integer, _to("data_media_source"), nullable=False),
    Column("target_id", Integer, _to("data_media_source"), nullable=False),
    Column("start", Text, nullable=False),  # JSON of StartFrom
    Column("parameters", Text, nullable=False),  # JSON of PipelineParameters
    Column("description", Text, nullable=False),
    Column("place", Integer, nullable=False),  # order within its channel
    UniqueConstraint("channel_id", "name", name="pipeline_unique"),
)

pipeline_node_relation = _table(
    "pipeline_node_relation",
    _id(),
    Column("pipeline_id", Integer, _to("pipeline", cascade=True), nullable=False),
    Column("node_id", Integer, _to("node"), nullable=False),
    _text("location", 16),  # SELECT | LOAD, as Otter
    Column("place", Integer, nullable=False),
)

data_media_pair = _table(
    "data_media_pair",
    _id(),
    Column("pipeline_id", Integer, _to("pipeline", cascade=True), nullable=False),
    Column("source_id", Integer, _to("data_media"), nullable=False),
    Column("target_id", Integer, _to("data_media"), nullable=False),
    Column("push_weight", Integer, nullable=False),
    Column("place", Integer, nullable=False),
)

log_record = _table(
    "log_record",
    _id(),
    Column("at", Double, nullable=False),  # epoch seconds
    _text("user_name", 64),
    _text("action", 16),
    _text("kind", 32),
    _text("name"),
    Column("message", Text, nullable=False),
)

user = _table(
    "user",
    _id(),
    Column("name", String(64), nullable=False, unique=True),
    _text("password_hash"),  # argon2
    Column("must_change", Boolean, nullable=False),
)

session = _table(
    "session",
    _id(),
    Column("digest", String(64), nullable=False, unique=True),  # SHA-256 of the cookie's value
    Column("user_id", Integer, _to("user", cascade=True), nullable=False),
    Column("created", Double, nullable=False),
    Column("seen", Double, nullable=False),
)

token = _table(
    "token",
    _id(),
    Column("digest", String(64), nullable=False, unique=True),  # SHA-256 of the token
    Column("user_id", Integer, _to("user", cascade=True), nullable=False),
    _text("name", 64),
    Column("created", Double, nullable=False),
)
