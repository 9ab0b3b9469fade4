"""The first schema. Migrations stand on their own: they never import ``tables``, which is today's schema."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _create(name: str, *parts: sa.Column[Any] | sa.UniqueConstraint, numbered: bool = False) -> None:
    first = sa.Column("id", sa.Integer, primary_key=True, autoincrement=False if numbered else "auto")
    op.create_table(name, first, *parts, mysql_engine="InnoDB", mysql_charset="utf8mb4", mysql_collate="utf8mb4_bin")


def _int(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer, nullable=False)


def _bool(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean, nullable=False)


def _double(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Double, nullable=False)


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, nullable=False)


def _string(name: str, length: int = 255, *, unique: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length), nullable=False, unique=unique)


def _to(name: str, table: str, *, cascade: bool = False) -> sa.Column[Any]:
    key = sa.ForeignKey(f"{table}.id", ondelete="CASCADE" if cascade else None)
    return sa.Column(name, sa.Integer, key, nullable=False)


def upgrade() -> None:
    _system()
    _machines()
    _media()
    _channels()
    _people()


def _system() -> None:
    _create("system", _int("version"), _int("last_nid"), _int("last_channel"), _int("last_pipeline"), numbered=True)
    op.execute("INSERT INTO system (id, version, last_nid, last_channel, last_pipeline) VALUES (1, 1, 0, 0, 0)")
    _create("log_record", _double("at"), _string("user_name", 64), _string("action", 16), _string("kind", 32),
            _string("name"), _text("message"))  # fmt: skip


def _machines() -> None:
    _create("zookeeper_cluster", _string("name", 64, unique=True), _text("server_list"), _text("description"))
    _create("node", _string("name", 64, unique=True), _string("ip"), _int("port"), _int("download_port"),
            _string("external_ip"), _bool("use_external_ip"), _to("zookeeper_id", "zookeeper_cluster"),
            _text("description"), numbered=True)  # fmt: skip


def _media() -> None:
    _create("data_media_source", _string("name", 64, unique=True), _string("host"), _int("port"), _string("username"),
            _text("password"), _string("encoding", 64), _text("description"))  # fmt: skip
    _create("data_media", _to("source_id", "data_media_source"), _string("namespace", 64), _string("name", 64),
            _text("description"),
            sa.UniqueConstraint("source_id", "namespace", "name", name="data_media_unique"))  # fmt: skip


def _channels() -> None:
    _create("channel", _string("name", 64, unique=True), _text("description"), numbered=True)
    _create("pipeline", _to("channel_id", "channel"), _string("name", 64), _to("source_id", "data_media_source"),
            _to("target_id", "data_media_source"), _text("start"), _text("parameters"), _text("description"),
            _int("place"), sa.UniqueConstraint("channel_id", "name", name="pipeline_unique"),
            numbered=True)  # fmt: skip
    _create("pipeline_node_relation", _to("pipeline_id", "pipeline", cascade=True), _to("node_id", "node"),
            _string("location", 16), _int("place"))  # fmt: skip
    _create("data_media_pair", _to("pipeline_id", "pipeline", cascade=True), _to("source_id", "data_media"),
            _to("target_id", "data_media"), _int("push_weight"), _int("place"))  # fmt: skip


def _people() -> None:
    _create("user", _string("name", 64, unique=True), _string("password_hash"), _bool("must_change"))
    _create("session", _string("digest", 64, unique=True), _to("user_id", "user", cascade=True), _double("created"),
            _double("seen"))  # fmt: skip
    _create("token", _string("digest", 64, unique=True), _to("user_id", "user", cascade=True), _string("name", 64),
            _double("created"))  # fmt: skip
