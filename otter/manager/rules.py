"""What objects must be to each other. Pure: ``check`` raises the first breach of a catalog in words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from otter.manager.catalog import Catalog
from otter.manager.refusal import Conflict, Refusal
from otter.model.config import Channel, DataSource, Node, Pair, Pipeline, Table, ZooKeeperCluster

_HOST = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9_.:-]*[A-Za-z0-9])?$")
_ADDRESS = re.compile(r"^[^.]+\.[^.]+$")


def check(catalog: Catalog) -> None:
    """Raises :class:`Refusal` or :class:`Conflict` with the field of the object that is to blame."""
    for zookeeper in catalog.zookeepers.values():
        _zookeeper(zookeeper)
    _nodes(catalog)
    for source in catalog.data_sources.values():
        _host(f"data source {source.name}", "host", source.host)
    for table in catalog.tables.values():
        _table(catalog, table)
    _numbers(catalog)
    for channel in catalog.channels.values():
        _channel(catalog, channel)


def _zookeeper(zookeeper: ZooKeeperCluster) -> None:
    for index, server in enumerate(zookeeper.servers):
        host, _, port = server.rpartition(":")
        if not (_HOST.match(host) and port.isdecimal() and 0 < int(port) < 65536):
            raise Refusal(
                f"ZooKeeper cluster {zookeeper.name}: {server!r} is not a server",
                "give host:port, for example 10.0.0.1:2181",
                f"servers[{index}]",
            )


def _nodes(catalog: Catalog) -> None:
    nids: dict[int, str] = {}
    sockets: dict[tuple[str, int], str] = {}
    for node in catalog.nodes.values():
        _node(catalog, node)
        if (other := nids.setdefault(node.nid, node.name)) != node.name:
            raise Conflict(f"nid {node.nid} of node {node.name} is the nid of node {other}", "leave nid out", "nid")
        for field, port in (("port", node.port), ("downloadPort", node.download_port)):
            what = f"{node.name} ({field})"
            if (other := sockets.setdefault((node.ip, port), what)) != what:
                raise Conflict(f"{node.ip}:{port} of node {what} is taken by {other}", "choose another port", field)


def _node(catalog: Catalog, node: Node) -> None:
    _host(f"node {node.name}", "ip", node.ip)
    if node.external_ip:
        _host(f"node {node.name}", "externalIp", node.external_ip)
    elif node.use_external_ip:
        raise Refusal(f"node {node.name} has no external ip to use", "give it, or do not use it", "externalIp")
    _exists(f"node {node.name}", "zookeeper", node.zookeeper, catalog.zookeepers, "ZooKeeper cluster")


def _host(owner: str, field: str, value: str) -> None:
    if not _HOST.match(value):
        raise Refusal(f"{owner}: {value!r} is not a host", "give an ip address or a host name, without port", field)


def _exists(owner: str, field: str, name: str, known: Iterable[str], what: str) -> None:
    names = list(known)
    if name not in names:
        hint = f"known: {', '.join(names[:10])}" if names else "there is none yet: add it first"
        raise Refusal(f"{owner}: there is no {what} {name!r}", hint, field)


def _table(catalog: Catalog, table: Table) -> None:
    _exists(f"table {table.address}", "source", table.source, catalog.data_sources, "data source")
    for field, value in (("schema", table.schema), ("name", table.name)):
        if "." in value:
            raise Refusal(
                f"table {table.address}: {field} {value!r} has a dot", "names with dots are not mapped", field
            )


def _numbers(catalog: Catalog) -> None:
    """Numbers given by hand (a restored export) must not meet others."""
    channels: dict[int, str] = {}
    pipelines: dict[int, str] = {}
    for channel in catalog.channels.values():
        if channels.setdefault(channel.id, channel.name) != channel.name:
            raise Conflict(
                f"id {channel.id} of channel {channel.name} is taken by {channels[channel.id]}", "leave id out", "id"
            )
    for channel, pipeline in catalog.pipelines():
        name = f"{channel.name}/{pipeline.name}"
        if pipelines.setdefault(pipeline.id, name) != name:
            raise Conflict(
                f"id {pipeline.id} of pipeline {name} is taken by {pipelines[pipeline.id]}", "leave id out", "id"
            )


def _channel(catalog: Catalog, channel: Channel) -> None:
    if len(channel.pipelines) > 2:
        names = ", ".join(pipeline.name for pipeline in channel.pipelines)
        raise Refusal(
            f"channel {channel.name} would have {len(channel.pipelines)} pipelines ({names})",
            "a channel has one pipeline (one way) or two (both ways): delete one, or make another channel",
            "pipelines",
        )
    for pipeline in channel.pipelines:
        _pipeline(catalog, channel, pipeline)
    _one_zookeeper(catalog, channel)


def _one_zookeeper(catalog: Catalog, channel: Channel) -> None:
    home = catalog.zookeeper_of(channel)
    for pipeline in channel.pipelines:
        for field, names in (("selectNodes", pipeline.select_nodes), ("loadNodes", pipeline.load_nodes)):
            for name in names:
                other = catalog.nodes[name].zookeeper
                if other != home:
                    raise Refusal(
                        f"pipeline {channel.name}/{pipeline.name}: {name} is in ZooKeeper {other}, others in {home}",
                        "all nodes of a channel meet in one ZooKeeper cluster",
                        field,
                    )


def _pipeline(catalog: Catalog, channel: Channel, pipeline: Pipeline) -> None:
    owner = f"pipeline {channel.name}/{pipeline.name}"
    _exists(owner, "source", pipeline.source, catalog.data_sources, "data source")
    _exists(owner, "target", pipeline.target, catalog.data_sources, "data source")
    for field, names in (("selectNodes", pipeline.select_nodes), ("loadNodes", pipeline.load_nodes)):
        for index, name in enumerate(names):
            _exists(owner, f"{field}[{index}]", name, catalog.nodes, "node")
            if name in names[:index]:
                raise Refusal(f"{owner}: node {name} is named twice", "name each node once", f"{field}[{index}]")
    _start(owner, pipeline)
    _pairs(catalog, owner, pipeline)


def _start(owner: str, pipeline: Pipeline) -> None:
    start = pipeline.start
    if sum(map(bool, (start.gtid, start.file, start.time))) > 1:
        raise Refusal(f"{owner} starts from several places", "give one of gtid, file (with offset) and time", "start")
    if start.time:
        try:
            zone = datetime.fromisoformat(start.time).tzinfo
        except ValueError:
            raise Refusal(
                f"{owner}: {start.time!r} is not a time", "for example 2026-11-23T08:00:00+08:00", "start.time"
            ) from None
        if zone is None:
            raise Refusal(f"{owner}: {start.time!r} has no time zone", "add Z or an offset as +08:00", "start.time")


def _pairs(catalog: Catalog, owner: str, pipeline: Pipeline) -> None:
    same_server = _server(catalog, pipeline.source) == _server(catalog, pipeline.target)
    seen: set[str] = set()
    for index, pair in enumerate(pipeline.pairs):
        field = f"pairs[{index}]"
        if pair.source in seen:
            raise Refusal(
                f"{owner}: {pair.source} is mapped twice",
                "one source table has one target in a pipeline",
                f"{field}.source",
            )
        seen.add(pair.source)
        _pair(owner, field, pair)
        if same_server and pair.source == pair.target_name:
            raise Refusal(
                f"{owner}: {pair.source} would be copied onto itself",
                "choose another target table or server",
                f"{field}.target",
            )


def _pair(owner: str, field: str, pair: Pair) -> None:
    if not _ADDRESS.match(pair.target_name):
        raise Refusal(f"{owner}: {pair.target!r} is not schema.table", "for example shop.orders", f"{field}.target")
    if "*" in pair.source + pair.target:
        raise Refusal(f"{owner}: {pair.source} has a pattern", "name each table: one pair a table", f"{field}.source")


def _server(catalog: Catalog, name: str) -> tuple[str, int]:
    source: DataSource = catalog.data_sources[name]
    return source.host.lower(), source.port
