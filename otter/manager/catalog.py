"""All replication objects at one version, and the edits of them. Pure: an edit makes the next catalog of a catalog.

What the objects must be to each other is in ``rules``; how they are kept is in ``store``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, TypeVar, cast

import msgspec

from otter.manager.refusal import Conflict, NotFound, Refusal
from otter.model.config import Channel, DataSource, Model, Node, Pair, Pipeline, Table, ZooKeeperCluster

Item = ZooKeeperCluster | Node | DataSource | Table | Channel
T = TypeVar("T", bound=Model)


class Kind(StrEnum):
    """The kinds of objects with a name of their own; the value is the field of :class:`Catalog` and ``Document``."""

    ZOOKEEPER = "zookeepers"
    NODE = "nodes"
    DATA_SOURCE = "data_sources"
    TABLE = "tables"
    CHANNEL = "channels"

    @property
    def word(self) -> str:
        """The kind in JSON: ``data-source``."""
        return self.value[:-1].replace("_", "-")

    @property
    def words(self) -> str:
        return {"zookeepers": "ZooKeeper cluster", "data_sources": "data source"}.get(self.value, self.value[:-1])


TYPES: dict[Kind, type[Model]] = {
    Kind.ZOOKEEPER: ZooKeeperCluster,
    Kind.NODE: Node,
    Kind.DATA_SOURCE: DataSource,
    Kind.TABLE: Table,
    Kind.CHANNEL: Channel,
}


def kind_of(item: Item) -> Kind:
    return next(kind for kind, type_ in TYPES.items() if isinstance(item, type_))


def key_of(item: Item) -> str:
    """The name an object is addressed by."""
    return item.address if isinstance(item, Table) else item.name


class Catalog(msgspec.Struct, frozen=True):
    """Objects by name (tables by ``source/schema.name``). ``last_*`` are the highest numbers ever given: they stand in
    znodes and marks, so none is given twice. Passwords are ``enc:...``."""

    version: int = 0
    zookeepers: Mapping[str, ZooKeeperCluster] = {}
    nodes: Mapping[str, Node] = {}
    data_sources: Mapping[str, DataSource] = {}
    tables: Mapping[str, Table] = {}
    channels: Mapping[str, Channel] = {}
    last_nid: int = 0
    last_channel: int = 0
    last_pipeline: int = 0

    def of(self, kind: Kind) -> Mapping[str, Item]:
        return cast("Mapping[str, Item]", getattr(self, kind.value))

    def get(self, kind: Kind, name: str) -> Item:
        """Raises :class:`NotFound`."""
        try:
            return self.of(kind)[name]
        except KeyError:
            raise NotFound(f"there is no {kind.words} {name!r}") from None

    def channel(self, name: str) -> Channel:
        return cast("Channel", self.get(Kind.CHANNEL, name))

    def pipeline(self, channel: str, name: str) -> Pipeline:
        for pipeline in self.channel(channel).pipelines:
            if pipeline.name == name:
                return pipeline
        raise NotFound(f"channel {channel!r} has no pipeline {name!r}")

    def pipelines(self) -> Iterator[tuple[Channel, Pipeline]]:
        for channel in self.channels.values():
            for pipeline in channel.pipelines:
                yield channel, pipeline

    def zookeeper_of(self, channel: Channel) -> str:
        """Name of the ZooKeeper cluster that keeps the channel's status ("" = it has no pipeline yet)."""
        for pipeline in channel.pipelines:
            for name in (*pipeline.select_nodes, *pipeline.load_nodes):
                if name in self.nodes:
                    return self.nodes[name].zookeeper
        return ""


# -- edits ------------------------------------------------------------------------------------------------------------


def put(catalog: Catalog, item: Item, instead_of: str = "") -> Catalog:
    """With ``item``, in the place of the object ``instead_of`` (default: of the one of its own name)."""
    kind = kind_of(item)
    items = {name: old for name, old in catalog.of(kind).items() if name != instead_of}
    return _with(catalog, kind, {**items, key_of(item): item})


def create(catalog: Catalog, item: Item) -> Catalog:
    """With a new object; raises :class:`Conflict` when the name is taken."""
    kind = kind_of(item)
    if key_of(item) in catalog.of(kind):
        raise Conflict(
            f"there is a {kind.words} {key_of(item)!r} already", "choose another name, or change that one", "name"
        )
    return put(catalog, item)


def replace(catalog: Catalog, name: str, item: Item) -> Catalog:
    """With ``item`` in the place of the object ``name``. Only what nobody refers to may get another name."""
    kind = kind_of(item)
    old = catalog.get(kind, name)
    if key_of(item) != name:
        if key_of(item) in catalog.of(kind):
            raise Conflict(f"there is a {kind.words} {key_of(item)!r} already", "choose another name", "name")
        _refuse_if_used(catalog, kind, name, "renamed")
    return put(catalog, carry(old, item), name)


def remove(catalog: Catalog, kind: Kind, name: str) -> Catalog:
    """Without it; raises :class:`Conflict` that names who uses it."""
    catalog.get(kind, name)
    _refuse_if_used(catalog, kind, name, "deleted")
    return _with(catalog, kind, {key: item for key, item in catalog.of(kind).items() if key != name})


def put_pipeline(catalog: Catalog, channel_name: str, pipeline: Pipeline, instead_of: str = "") -> Catalog:
    """With a new pipeline in a channel, or one in the place of ``instead_of``."""
    channel = catalog.channel(channel_name)
    names = [other.name for other in channel.pipelines]
    if pipeline.name != instead_of and pipeline.name in names:
        raise Conflict(
            f"channel {channel_name!r} has a pipeline {pipeline.name!r} already", "choose another name", "name"
        )
    if not instead_of:
        return put(catalog, msgspec.structs.replace(channel, pipelines=(*channel.pipelines, pipeline)))
    new = carry_pipeline(catalog.pipeline(channel_name, instead_of), pipeline)
    pipelines = tuple(new if other.name == instead_of else other for other in channel.pipelines)
    return put(catalog, msgspec.structs.replace(channel, pipelines=pipelines))


def remove_pipeline(catalog: Catalog, channel_name: str, name: str) -> Catalog:
    catalog.pipeline(channel_name, name)
    channel = catalog.channel(channel_name)
    left = tuple(pipeline for pipeline in channel.pipelines if pipeline.name != name)
    return put(catalog, msgspec.structs.replace(channel, pipelines=left))


def put_pair(catalog: Catalog, where: tuple[str, str], pair: Pair, instead_of: str = "") -> Catalog:
    """With a pair in the pipeline ``where`` (channel, pipeline): new, or in the place of ``instead_of``."""
    pipeline = catalog.pipeline(*where)
    sources = [other.source for other in pipeline.pairs]
    if instead_of and instead_of not in sources:
        raise NotFound(f"pipeline {where[1]!r} has no pair of {instead_of!r}")
    if pair.source != instead_of and pair.source in sources:
        raise Conflict(f"pipeline {where[1]!r} has a pair of {pair.source!r} already", "change that one", "source")
    pairs = tuple(pair if other.source == instead_of else other for other in pipeline.pairs)
    changed = msgspec.structs.replace(pipeline, pairs=pairs if instead_of else (*pairs, pair))
    return put_pipeline(catalog, where[0], changed, where[1])


def remove_pair(catalog: Catalog, where: tuple[str, str], source: str) -> Catalog:
    pipeline = catalog.pipeline(*where)
    left = tuple(pair for pair in pipeline.pairs if pair.source != source)
    if len(left) == len(pipeline.pairs):
        raise NotFound(f"pipeline {where[1]!r} has no pair of {source!r}")
    return put_pipeline(catalog, where[0], msgspec.structs.replace(pipeline, pairs=left), where[1])


# -- what an edit carries over ----------------------------------------------------------------------------------------


def carry(old: Item, new: Item) -> Item:
    """``new`` with what it leaves to the manager taken from ``old``: numbers, an empty password, pipelines that it does
    not name."""
    if isinstance(old, Node) and isinstance(new, Node):
        return msgspec.structs.replace(new, nid=_same_number("nid", old.nid, new.nid))
    if isinstance(old, DataSource) and isinstance(new, DataSource):
        return msgspec.structs.replace(new, password=new.password or old.password)
    if isinstance(old, Channel) and isinstance(new, Channel):
        return msgspec.structs.replace(new, id=_same_number("id", old.id, new.id), pipelines=_merged(old, new))
    return new


def carry_pipeline(old: Pipeline, new: Pipeline) -> Pipeline:
    return msgspec.structs.replace(new, id=_same_number("id", old.id, new.id))


def _merged(old: Channel, new: Channel) -> tuple[Pipeline, ...]:
    before = {pipeline.name: pipeline for pipeline in old.pipelines}
    given = {
        pipeline.name: carry_pipeline(before[pipeline.name], pipeline) if pipeline.name in before else pipeline
        for pipeline in new.pipelines
    }
    if len(given) < len(new.pipelines):
        raise Refusal(f"channel {new.name!r} names a pipeline twice", "give each its own name", "pipelines")
    return tuple({**before, **given}.values())


def _same_number(field: str, old: int, new: int) -> int:
    if new not in (0, old):
        raise Refusal(
            f"{field} is {old} and cannot become {new}",
            "numbers stand in ZooKeeper and in the targets' marks: leave it out, or make a new object",
            field,
        )
    return old


def completed(catalog: Catalog) -> Catalog:
    """With a number for each object that has none, and a Table for each side of a pair (Otter's batch add)."""
    return _with_tables(_numbered(catalog))


def _numbered(catalog: Catalog) -> Catalog:
    nid = _counter(max([catalog.last_nid, *(node.nid for node in catalog.nodes.values())]))
    channel_id = _counter(max([catalog.last_channel, *(channel.id for channel in catalog.channels.values())]))
    pipeline_id = _counter(max([catalog.last_pipeline, *(pipeline.id for _, pipeline in catalog.pipelines())]))

    def number(channel: Channel) -> Channel:
        pipelines = tuple(
            msgspec.structs.replace(pipeline, id=pipeline.id or pipeline_id(1)) for pipeline in channel.pipelines
        )
        return msgspec.structs.replace(channel, id=channel.id or channel_id(1), pipelines=pipelines)

    nodes = {name: msgspec.structs.replace(node, nid=node.nid or nid(1)) for name, node in catalog.nodes.items()}
    channels = {name: number(channel) for name, channel in catalog.channels.items()}
    return msgspec.structs.replace(
        catalog,
        nodes=nodes,
        channels=channels,
        last_nid=nid(0),
        last_channel=channel_id(0),
        last_pipeline=pipeline_id(0),
    )


def _counter(last: int) -> Callable[[int], int]:
    def move(by: int) -> int:
        nonlocal last
        last += by
        return last

    return move


def _with_tables(catalog: Catalog) -> Catalog:
    tables = dict(catalog.tables)
    for _, pipeline in catalog.pipelines():
        for pair in pipeline.pairs:
            for source, address in ((pipeline.source, pair.source), (pipeline.target, pair.target_name)):
                table = table_of(source, address)
                tables.setdefault(table.address, table)
    return msgspec.structs.replace(catalog, tables=tables)


def table_of(source: str, address: str) -> Table:
    """The Table object of ``schema.table`` in a data source."""
    schema, _, name = address.partition(".")
    return Table(source=source, schema=schema, name=name)


# -- who uses what ----------------------------------------------------------------------------------------------------


def users_of(catalog: Catalog, kind: Kind, name: str) -> list[str]:
    """Who refers to an object, in words: ``pipeline shop/a2b``."""
    if kind is Kind.ZOOKEEPER:
        return [f"node {node.name}" for node in catalog.nodes.values() if node.zookeeper == name]
    found = [
        f"pipeline {channel.name}/{pipeline.name}"
        for channel, pipeline in catalog.pipelines()
        if name in _references(kind, pipeline)
    ]
    if kind is Kind.DATA_SOURCE:
        found += [f"table {table.address}" for table in catalog.tables.values() if table.source == name]
    return found


def _references(kind: Kind, pipeline: Pipeline) -> set[str]:
    if kind is Kind.NODE:
        return {*pipeline.select_nodes, *pipeline.load_nodes}
    if kind is Kind.DATA_SOURCE:
        return {pipeline.source, pipeline.target}
    if kind is Kind.TABLE:
        sources = {table_of(pipeline.source, pair.source).address for pair in pipeline.pairs}
        return sources | {table_of(pipeline.target, pair.target_name).address for pair in pipeline.pairs}
    return set()


def _refuse_if_used(catalog: Catalog, kind: Kind, name: str, what: str) -> None:
    users = users_of(catalog, kind, name)
    if users:
        shown = ", ".join(users[:5]) + (f" and {len(users) - 5} more" if len(users) > 5 else "")
        raise Conflict(f"{kind.words} {name!r} cannot be {what}: it is used by {shown}", "change or delete those first")


def _with(catalog: Catalog, kind: Kind, items: Mapping[str, Any]) -> Catalog:
    return msgspec.structs.replace(catalog, **{kind.value: items})
