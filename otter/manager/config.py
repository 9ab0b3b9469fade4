"""What a node gets: its own pipelines, references resolved. Pure."""

from __future__ import annotations

from otter.manager.catalog import Catalog
from otter.manager.refusal import NotFound
from otter.model.config import Channel, Node, NodeConfig, Pipeline, PipelineTask


def config_of(catalog: Catalog, nid: int) -> NodeConfig:
    """Config of node ``nid``; raises :class:`NotFound`."""
    node = next((node for node in catalog.nodes.values() if node.nid == nid), None)
    if node is None:
        raise NotFound(
            f"there is no node with nid {nid}", "add the node in the console, and write its number (序号) into conf/nid"
        )
    mine = [(channel, pipeline) for channel, pipeline in catalog.pipelines() if node.name in _names(pipeline)]
    peers = {name for _, pipeline in mine for name in _names(pipeline)} | {node.name}
    return NodeConfig(
        version=catalog.version,
        node=node,
        zookeeper_servers=catalog.zookeepers[node.zookeeper].servers,
        nodes=tuple(other for other in catalog.nodes.values() if other.name in peers),
        pipelines=tuple(task_of(catalog, channel, pipeline) for channel, pipeline in mine),
    )


def task_of(catalog: Catalog, channel: Channel, pipeline: Pipeline) -> PipelineTask:
    return PipelineTask(
        id=pipeline.id,
        name=pipeline.name,
        channel_id=channel.id,
        channel=channel.name,
        source=catalog.data_sources[pipeline.source],
        target=catalog.data_sources[pipeline.target],
        select_nids=tuple(catalog.nodes[name].nid for name in pipeline.select_nodes),
        load_nids=tuple(catalog.nodes[name].nid for name in pipeline.load_nodes),
        pairs=pipeline.pairs,
        start=pipeline.start,
        parameters=pipeline.parameters,
        opposite_id=next((other.id for other in channel.pipelines if other.id != pipeline.id), 0),
    )


def _names(pipeline: Pipeline) -> set[str]:
    return {*pipeline.select_nodes, *pipeline.load_nodes}


def address_of(node: Node) -> str:
    """Where the node's communication port answers."""
    host = node.external_ip if node.use_external_ip and node.external_ip else node.ip
    return f"http://[{host}]:{node.port}" if ":" in host else f"http://{host}:{node.port}"
