"""Which sides a node runs."""

from __future__ import annotations

import pytest

from otter.model.config import ChannelStatus, DataSource, Node, NodeConfig, PipelineParameters, PipelineTask, StartFrom
from otter.node.supervisor import wanted_sides


def task(number: int, select: tuple[int, ...], load: tuple[int, ...]) -> PipelineTask:
    source = DataSource(name="a", host="h", username="u")
    return PipelineTask(
        id=number, name=f"p{number}", channel_id=10 + number, channel="c", source=source, target=source,
        select_nids=select, load_nids=load, pairs=(), start=StartFrom(), parameters=PipelineParameters(),
    )  # fmt: skip


def config(nid: int, *tasks: PipelineTask) -> NodeConfig:
    node = Node(name="n", nid=nid, ip="127.0.0.1", zookeeper="zk")
    return NodeConfig(version=1, node=node, zookeeper_servers=("zk:2181",), nodes=(node,), pipelines=tasks)


@pytest.mark.parametrize(
    ("nid", "status", "sides"),
    [
        (1, ChannelStatus.START, {("select", 1): True}),
        (2, ChannelStatus.START, {("select", 1): True, ("load", 1): True}),
        (3, ChannelStatus.PAUSE, {("load", 1): False}),
        (2, ChannelStatus.STOP, {}),
        (4, ChannelStatus.START, {}),
    ],
)
def test_sides_follow_role_and_status(nid: int, status: ChannelStatus, sides: dict[tuple[str, int], bool]) -> None:
    wanted = wanted_sides(config(nid, task(1, (1, 2), (2, 3))), {11: status})
    assert {key: side.permit for key, side in wanted.items()} == sides


def test_a_channel_whose_status_is_unknown_runs_nothing() -> None:
    assert wanted_sides(config(1, task(1, (1,), (1,))), {}) == {}


def test_each_channel_has_its_own_status() -> None:
    picture = config(1, task(1, (1,), (2,)), task(2, (1,), (1,)))
    wanted = wanted_sides(picture, {11: ChannelStatus.STOP, 12: ChannelStatus.PAUSE})
    assert set(wanted) == {("select", 2), ("load", 2)}
