"""``otter doctor`` and "test connection": the manager's own checks, and those it asks of the nodes that do the work.

A database is looked at from where it will be used; only when no node can, the manager looks itself, and says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

import msgspec

from otter.dialect import source as dialect_source
from otter.dialect.connection import Connection, SqlError
from otter.dialect.source import Role
from otter.errors import OtterError
from otter.manager.catalog import Catalog
from otter.manager.config import address_of
from otter.manager.desk import Desk
from otter.manager.passwords import Vault
from otter.manager.refusal import Refusal
from otter.manager.view import Scene
from otter.model.config import Channel, DataSource, Node, Pair, Pipeline
from otter.model.stats import Check, NodeReport

#: Seconds for one answer of a database or node.
PATIENCE = 15.0
#: Seconds that a node's clock may differ from ours: signatures and URLs expire by the clock.
CLOCK = 30.0


# -- a data source ----------------------------------------------------------------------------------------------------


async def test_source(desk: Desk, given: DataSource) -> list[Check]:
    """Connects from the manager; password "" is that of the stored data source of the same name."""
    catalog = await desk.catalog()
    old = catalog.data_sources.get(given.name)
    if old is None and not given.password:
        raise Refusal(f"data source {given.name!r} is not stored yet", "give its password", "password")
    return await _examine_source(desk.vault, desk.vault.sealed(given, old), _role_of(catalog, given.name))


def _role_of(catalog: Catalog, name: str) -> Role:
    """What is only a target needs no binlog; what nobody uses yet may become a source."""
    uses = {(pipeline.source == name, pipeline.target == name) for _, pipeline in catalog.pipelines()}
    return "target" if (False, True) in uses and not any(source for source, _ in uses) else "source"


async def _examine_source(vault: Vault, sealed: DataSource, role: Role) -> list[Check]:
    """From the manager."""
    try:
        clear = vault.clear(sealed)
    except OtterError as error:
        return [Check(subject=_subject(sealed), name="password", ok=False, words=error.message, hint=error.hint)]
    try:
        async with asyncio.timeout(PATIENCE):
            return await asyncio.to_thread(_look, clear, role)
    except TimeoutError:
        return [_unreachable(sealed, f"no answer within {PATIENCE:.0f} s")]


def _look(clear: DataSource, role: Role) -> list[Check]:
    """Blocking."""
    try:
        with Connection(clear, timeout=PATIENCE) as connection:
            words = f"{clear.username}@{clear.host}:{clear.port} is {connection.version}, seen from the manager"
            here = Check(subject=_subject(clear), name="connection", ok=True, words=words)
            return [here, *dialect_source.check(connection, role)]
    except SqlError as error:
        return [_unreachable(clear, error.message)]


def _subject(source: DataSource) -> str:
    return f"data source {source.name}"


def _unreachable(source: DataSource, words: str) -> Check:
    hint = f"check host, port, user, password and grants of {source.username}@{source.host}:{source.port}"
    return Check(subject=_subject(source), name="connection", ok=False, words=f"{words}, from the manager", hint=hint)


# -- everything -------------------------------------------------------------------------------------------------------


async def examine(desk: Desk, channel_name: str = "") -> list[Check]:
    """All checks, or only of what one channel uses; raises :class:`NotFound`."""
    scene = await desk.scene()
    catalog = scene.catalog
    channels = [catalog.channel(channel_name)] if channel_name else list(catalog.channels.values())
    nodes = _nodes_of(catalog, channels) if channel_name else list(catalog.nodes.values())
    clusters = {node.zookeeper for node in nodes} if channel_name else set(catalog.zookeepers)
    found = await asyncio.gather(
        *(_examine_node(desk, scene, node) for node in nodes),
        *(_examine_pipeline(desk, scene, channel, pipeline) for channel in channels for pipeline in channel.pipelines),
    )
    return [*_zookeeper_checks(scene, sorted(clusters)), *(check for checks in found for check in checks)]


def _nodes_of(catalog: Catalog, channels: Iterable[Channel]) -> list[Node]:
    names = {
        name
        for channel in channels
        for pipeline in channel.pipelines
        for name in (*pipeline.select_nodes, *pipeline.load_nodes)
    }
    return [node for name, node in catalog.nodes.items() if name in names]


def _zookeeper_checks(scene: Scene, names: Iterable[str]) -> Iterable[Check]:
    for name in names:
        words = scene.picture.words.get(name, "not connected yet")
        servers = ", ".join(scene.catalog.zookeepers[name].servers)
        yield Check(
            subject=f"ZooKeeper cluster {name}",
            name="connection",
            ok=not words,
            words=words or f"connected to {servers}",
            hint=f"check that {servers} run and can be reached from the manager" if words else "",
        )


async def _examine_node(desk: Desk, scene: Scene, node: Node) -> list[Check]:
    subject, alive = f"node {node.name}", node.nid in scene.picture.alive
    checks = [
        Check(
            subject=subject,
            name="alive",
            ok=alive,
            words="已启动" if alive else "未启动: not registered in ZooKeeper",
            hint="" if alive else f"start it: `otter node` in its home, with {node.nid} in conf/nid; see its log",
        )
    ]
    if alive:
        checks.append(await _communication(desk, node))
        checks.append(await _download(node))
    return checks


async def _communication(desk: Desk, node: Node) -> Check:
    """The communication port, and the node's clock by the way."""
    subject, address = f"node {node.name}", address_of(node)
    before = time.time()
    try:
        report = await desk.peer(node).get("/rpc/v1/report", NodeReport, timeout=5.0)
    except (OtterError, msgspec.MsgspecError) as error:
        hint = f"check ip, port {node.port} and the cluster key of {node.name}, and the firewall to it"
        return Check(subject=subject, name="communication port", ok=False, words=str(error), hint=hint)
    offset = report.at - (before + time.time()) / 2
    far = abs(offset) > CLOCK
    return Check(
        subject=subject,
        name="communication port",
        ok=not far,
        words=f"{address} answers, version {report.version}, clock {offset:+.1f} s",
        hint="its clock is off: let NTP set it" if far else "",
    )


async def _download(node: Node) -> Check:
    host = urlsplit(address_of(node)).hostname or node.ip
    try:
        async with asyncio.timeout(5.0):
            _, writer = await asyncio.open_connection(host, node.download_port)
    except (OSError, TimeoutError) as error:
        words, ok = f"{host}:{node.download_port} does not answer: {type(error).__name__}", False
    else:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        words, ok = f"{host}:{node.download_port} answers", True
    hint = "" if ok else f"check download port and firewall of {node.name}"
    return Check(subject=f"node {node.name}", name="download port", ok=ok, words=words, hint=hint)


async def _examine_pipeline(desk: Desk, scene: Scene, channel: Channel, pipeline: Pipeline) -> list[Check]:
    """The source as a select node sees it, the target as a load node sees it."""
    checks = _complete(channel, pipeline)
    source, target, pairs = await asyncio.gather(
        _examine_role(desk, scene, pipeline, "source"),
        _examine_role(desk, scene, pipeline, "target"),
        _examine_pairs(desk, scene, pipeline),
    )
    return list(dict.fromkeys([*checks, *source, *target, *pairs]))  # a node of both roles says all of it twice


async def _examine_pairs(desk: Desk, scene: Scene, pipeline: Pipeline) -> list[Check]:
    """Compares the mapped tables of both sides. Only the manager may reach both; where it does not, it says so."""
    try:
        clear = [desk.vault.clear(scene.catalog.data_sources[name]) for name in (pipeline.source, pipeline.target)]
        async with asyncio.timeout(2 * PATIENCE):
            return await asyncio.to_thread(_compare, clear[0], clear[1], pipeline.pairs)
    except (OtterError, TimeoutError):
        words = "not compared: the manager does not reach both databases"
        return [Check(subject=f"pipeline {pipeline.name}", name="tables", ok=True, words=words)]


def _compare(source: DataSource, target: DataSource, pairs: Sequence[Pair]) -> list[Check]:
    """Blocking."""
    with Connection(source, timeout=PATIENCE) as one, Connection(target, timeout=PATIENCE) as other:
        return dialect_source.check_pairs(one, other, pairs)


def _complete(channel: Channel, pipeline: Pipeline) -> list[Check]:
    count = len(pipeline.pairs)
    hint = "" if count else "add a mapping pair"
    subject = f"pipeline {channel.name}/{pipeline.name}"
    return [
        Check(
            subject=subject,
            name="pairs",
            ok=count > 0,
            words=f"{count} table{'' if count == 1 else 's'} mapped",
            hint=hint,
        )
    ]


async def _examine_role(desk: Desk, scene: Scene, pipeline: Pipeline, role: Role) -> list[Check]:
    """Asks the first node that has something to say; the manager looks itself when none does."""
    for name in pipeline.select_nodes if role == "source" else pipeline.load_nodes:
        node = scene.catalog.nodes[name]
        if node.nid not in scene.picture.alive:
            continue
        with contextlib.suppress(OtterError, msgspec.MsgspecError):
            path = f"/rpc/v1/pipelines/{pipeline.id}/doctor"
            if checks := await desk.peer(node).post(path, None, list[Check], timeout=2 * PATIENCE):
                return checks
    name = pipeline.source if role == "source" else pipeline.target
    return await _examine_source(desk.vault, scene.catalog.data_sources[name], role)
