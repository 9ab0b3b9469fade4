"""Catalog to rows and back. ``save`` writes only what differs; both run inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, Table, delete, insert, select, update

from otter.manager.catalog import Catalog, table_of
from otter.manager.store import tables as t
from otter.model import config as m

Row = RowMapping


# -- rows to catalog --------------------------------------------------------------------------------------------------


def load(connection: Connection) -> Catalog:
    """Everything, at one version."""
    system = connection.execute(select(t.system)).mappings().one()
    zookeepers = {row["id"]: _zookeeper(row) for row in _rows(connection, t.zookeeper_cluster)}
    nodes = {row["id"]: _node(row, zookeepers) for row in _rows(connection, t.node)}
    sources = {row["id"]: _source(row) for row in _rows(connection, t.data_media_source)}
    media = {row["id"]: _table(row, sources) for row in _rows(connection, t.data_media)}
    return Catalog(
        version=system["version"],
        zookeepers=_by_name(zookeepers.values()),
        nodes=_by_name(nodes.values()),
        data_sources=_by_name(sources.values()),
        tables={table.address: table for table in media.values()},
        channels=_by_name(_channels(connection, nodes, sources, media)),
        last_nid=system["last_nid"],
        last_channel=system["last_channel"],
        last_pipeline=system["last_pipeline"],
    )


def _rows(connection: Connection, table: Table) -> Sequence[Row]:
    order = table.c.get("place", table.c.id)
    return connection.execute(select(table).order_by(order, table.c.id)).mappings().all()


def _by_name(items: Iterable[Any]) -> dict[str, Any]:
    return {item.name: item for item in items}


def _zookeeper(row: Row) -> m.ZooKeeperCluster:
    return m.ZooKeeperCluster(
        name=row["name"], servers=tuple(row["server_list"].split(",")), description=row["description"]
    )


def _node(row: Row, zookeepers: Mapping[int, m.ZooKeeperCluster]) -> m.Node:
    same = ("name", "ip", "port", "download_port", "external_ip", "use_external_ip", "description")
    return m.Node(nid=row["id"], zookeeper=zookeepers[row["zookeeper_id"]].name, **{name: row[name] for name in same})


def _source(row: Row) -> m.DataSource:
    return m.DataSource(**{name: value for name, value in row.items() if name != "id"})


def _table(row: Row, sources: Mapping[int, m.DataSource]) -> m.Table:
    return m.Table(
        source=sources[row["source_id"]].name,
        schema=row["namespace"],
        name=row["name"],
        description=row["description"],
    )


def _channels(
    connection: Connection,
    nodes: Mapping[int, m.Node],
    sources: Mapping[int, m.DataSource],
    media: Mapping[int, m.Table],
) -> list[m.Channel]:
    places: dict[tuple[int, str], list[str]] = {}
    for row in _rows(connection, t.pipeline_node_relation):
        places.setdefault((row["pipeline_id"], row["location"]), []).append(nodes[row["node_id"]].name)
    pairs: dict[int, list[m.Pair]] = {}
    for row in _rows(connection, t.data_media_pair):
        pairs.setdefault(row["pipeline_id"], []).append(_pair(row, media))
    pipelines: dict[int, list[m.Pipeline]] = {}
    for row in _rows(connection, t.pipeline):
        pipeline = m.Pipeline(
            name=row["name"],
            id=row["id"],
            source=sources[row["source_id"]].name,
            target=sources[row["target_id"]].name,
            select_nodes=tuple(places.get((row["id"], "SELECT"), ())),
            load_nodes=tuple(places.get((row["id"], "LOAD"), ())),
            pairs=tuple(pairs.get(row["id"], ())),
            start=msgspec.json.decode(row["start"], type=m.StartFrom),
            parameters=msgspec.json.decode(row["parameters"], type=m.PipelineParameters),
            description=row["description"],
        )
        pipelines.setdefault(row["channel_id"], []).append(pipeline)
    return [
        m.Channel(
            name=row["name"],
            id=row["id"],
            description=row["description"],
            pipelines=tuple(pipelines.get(row["id"], ())),
        )
        for row in _rows(connection, t.channel)
    ]


def _pair(row: Row, media: Mapping[int, m.Table]) -> m.Pair:
    source, target = media[row["source_id"]], media[row["target_id"]]
    from_, to = f"{source.schema}.{source.name}", f"{target.schema}.{target.name}"
    return m.Pair(source=from_, target="" if to == from_ else to, push_weight=row["push_weight"])


# -- catalog to rows --------------------------------------------------------------------------------------------------


def save(connection: Connection, old: Catalog, new: Catalog) -> None:
    """Writes the difference: first what goes, from the outside in, then what comes, from the inside out."""
    _Writer(connection).write(old, new)


class _Writer:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def write(self, old: Catalog, new: Catalog) -> None:
        before = {pipeline.id: (channel.id, pipeline) for channel, pipeline in old.pipelines()}
        after = {pipeline.id: (channel.id, pipeline) for channel, pipeline in new.pipelines()}
        changed = [number for number, pipeline in after.items() if before.get(number) != pipeline]
        for relation in (t.pipeline_node_relation, t.data_media_pair):
            self._delete(relation, "pipeline_id", [*changed, *(before.keys() - after.keys())])
        self._drop(old, new, before.keys() - after.keys())
        self._objects(old, new)
        self._channels(old, new)
        ids = _Ids(self._connection)
        for channel in new.channels.values():
            for place, pipeline in enumerate(channel.pipelines):
                if pipeline.id in changed:
                    self._pipeline(ids, channel.id, place, pipeline, known=pipeline.id in before)
        self._put(t.system, 1, {name: getattr(new, name) for name in ("last_nid", "last_channel", "last_pipeline")})

    def _drop(self, old: Catalog, new: Catalog, pipelines: Iterable[int]) -> None:
        self._delete(t.pipeline, "id", pipelines)
        self._delete(t.channel, "id", _numbers(old.channels, "id") - _numbers(new.channels, "id"))
        ids = _Ids(self._connection)
        self._delete(t.data_media, "id", [ids.media[address] for address in old.tables.keys() - new.tables.keys()])
        self._delete(t.node, "id", _numbers(old.nodes, "nid") - _numbers(new.nodes, "nid"))
        self._delete(t.data_media_source, "name", old.data_sources.keys() - new.data_sources.keys())
        self._delete(t.zookeeper_cluster, "name", old.zookeepers.keys() - new.zookeepers.keys())

    def _objects(self, old: Catalog, new: Catalog) -> None:
        ids = _Ids(self._connection)
        for zookeeper in _news(old.zookeepers, new.zookeepers):
            values = {"server_list": ",".join(zookeeper.servers), "description": zookeeper.description}
            ids.zookeepers[zookeeper.name] = self._put_named(
                t.zookeeper_cluster, ids.zookeepers, zookeeper.name, values
            )
        known = _numbers(old.nodes, "nid")
        for node in _news(old.nodes, new.nodes):
            values = msgspec.structs.asdict(node)
            values["zookeeper_id"] = ids.zookeepers[values.pop("zookeeper")]
            self._put(t.node, values.pop("nid"), values, known=node.nid in known)
        for source in _news(old.data_sources, new.data_sources):
            values = msgspec.structs.asdict(source)
            name = values.pop("name")
            ids.sources[name] = self._put_named(t.data_media_source, ids.sources, name, values)
        self._media(ids, [table for key, table in new.tables.items() if old.tables.get(key) != table])

    def _media(self, ids: _Ids, tables: Iterable[m.Table]) -> None:
        for table in tables:
            values = {
                "source_id": ids.sources[table.source],
                "namespace": table.schema,
                "name": table.name,
                "description": table.description,
            }
            number = ids.media.get(table.address)
            if number is None:
                self._connection.execute(insert(t.data_media).values(values))
            else:
                self._put(t.data_media, number, values)

    def _channels(self, old: Catalog, new: Catalog) -> None:
        before = {channel.id: (channel.name, channel.description) for channel in old.channels.values()}
        for channel in new.channels.values():
            if before.get(channel.id) != (channel.name, channel.description):
                values = {"name": channel.name, "description": channel.description}
                self._put(t.channel, channel.id, values, known=channel.id in before)

    def _pipeline(self, ids: _Ids, channel_id: int, place: int, pipeline: m.Pipeline, *, known: bool) -> None:
        values = {
            "channel_id": channel_id,
            "name": pipeline.name,
            "source_id": ids.sources[pipeline.source],
            "target_id": ids.sources[pipeline.target],
            "start": msgspec.json.encode(pipeline.start).decode(),
            "parameters": msgspec.json.encode(pipeline.parameters).decode(),
            "description": pipeline.description,
            "place": place,
        }
        self._put(t.pipeline, pipeline.id, values, known=known)
        self._insert(t.pipeline_node_relation, list(_relations(ids, pipeline)))
        self._insert(t.data_media_pair, list(_pair_rows(ids, pipeline)))

    # -- statements ---------------------------------------------------------------------------------------------------

    def _delete(self, table: Table, column: str, values: Iterable[Any]) -> None:
        for value in values:
            self._connection.execute(delete(table).where(table.c[column] == value))

    def _insert(self, table: Table, rows: list[dict[str, Any]]) -> None:
        if rows:
            self._connection.execute(insert(table), rows)

    def _put(self, table: Table, number: int, values: dict[str, Any], *, known: bool = True) -> None:
        if known:
            self._connection.execute(update(table).where(table.c.id == number).values(values))
        else:
            self._connection.execute(insert(table).values(id=number, **values))

    def _put_named(self, table: Table, ids: Mapping[str, int], name: str, values: dict[str, Any]) -> int:
        if name in ids:
            self._put(table, ids[name], values)
            return ids[name]
        result = self._connection.execute(insert(table).values(name=name, **values))
        return int(result.inserted_primary_key[0])  # type: ignore[index]  # one plain insert always has one


class _Ids:
    """Names to numbers, as they are in the transaction now."""

    def __init__(self, connection: Connection) -> None:
        self.zookeepers = _named(connection, t.zookeeper_cluster)
        self.nodes = _named(connection, t.node)
        self.sources = _named(connection, t.data_media_source)
        names = {number: name for name, number in self.sources.items()}
        self.media = {
            f"{names[row['source_id']]}/{row['namespace']}.{row['name']}": int(row["id"])
            for row in _rows(connection, t.data_media)
        }


def _named(connection: Connection, table: Table) -> dict[str, int]:
    return {row["name"]: int(row["id"]) for row in _rows(connection, table)}


def _numbers(items: Mapping[str, Any], field: str) -> set[int]:
    return {getattr(item, field) for item in items.values()}


def _news(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Any]:
    return [item for name, item in new.items() if old.get(name) != item]


def _relations(ids: _Ids, pipeline: m.Pipeline) -> Iterable[dict[str, Any]]:
    for location, names in (("SELECT", pipeline.select_nodes), ("LOAD", pipeline.load_nodes)):
        for place, name in enumerate(names):
            yield {"pipeline_id": pipeline.id, "node_id": ids.nodes[name], "location": location, "place": place}


def _pair_rows(ids: _Ids, pipeline: m.Pipeline) -> Iterable[dict[str, Any]]:
    for place, pair in enumerate(pipeline.pairs):
        yield {
            "pipeline_id": pipeline.id,
            "source_id": ids.media[table_of(pipeline.source, pair.source).address],
            "target_id": ids.media[table_of(pipeline.target, pair.target_name).address],
            "push_weight": pair.push_weight,
            "place": place,
        }
