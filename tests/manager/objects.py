"""Objects that the manager's tests share."""

from __future__ import annotations

from otter.manager import catalog as c
from otter.manager.catalog import Catalog, Item
from otter.model.config import Channel, DataSource, Node, Pair, Pipeline, ZooKeeperCluster

ZK = ZooKeeperCluster(name="zk", servers=("127.0.0.1:2181",))
N1 = Node(name="n1", ip="127.0.0.1", port=2088, download_port=9090, zookeeper="zk")
N2 = Node(name="n2", ip="127.0.0.1", port=2188, download_port=9190, zookeeper="zk")
HANGZHOU = DataSource(name="hangzhou", host="127.0.0.1", port=3306, username="otter", password="enc:x")
US_WEST = DataSource(name="us-west", host="127.0.0.1", port=3307, username="otter", password="enc:y")
A2B = Pipeline(
    name="a2b",
    source="hangzhou",
    target="us-west",
    select_nodes=("n1",),
    load_nodes=("n2",),
    pairs=(Pair(source="shop.orders"), Pair(source="shop.lines", target="copy.lines", push_weight=7)),
)
SHOP = Channel(name="shop", pipelines=(A2B,))
BASE: tuple[Item, ...] = (ZK, N1, N2, HANGZHOU, US_WEST)


def with_all(catalog: Catalog, *items: Item) -> Catalog:
    for item in items:
        catalog = c.create(catalog, item)
    return catalog


def full(catalog: Catalog = Catalog()) -> Catalog:  # noqa: B008 - frozen
    return with_all(catalog, *BASE, SHOP)
