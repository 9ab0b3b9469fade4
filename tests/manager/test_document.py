"""Apply and export: round trips, plans, passwords, what is left alone."""

from __future__ import annotations

import msgspec
import pytest

from otter.manager.desk import Desk
from otter.model.config import Channel, DataSource, Document, Pair, PipelineParameters
from tests.manager.conftest import Browser
from tests.manager.objects import A2B, N1, N2, SHOP, ZK

SOURCES = (
    DataSource(name="hangzhou", host="127.0.0.1", port=3306, username="otter", password="s3cret"),
    DataSource(name="us-west", host="127.0.0.1", port=3307, username="otter", password="other"),
)
DOCUMENT = Document(zookeepers=(ZK,), nodes=(N1, N2), data_sources=SOURCES, channels=(SHOP,))


async def apply(api: Browser, document: Document, query: str = "") -> list[tuple[str, str, str, tuple[str, ...]]]:
    plan = await api.post(f"/apply{query}", document)
    return [(action.action, action.kind, action.name, action.fields) for action in plan.actions]


async def test_apply_makes_everything_in_order_and_then_keeps_it(desk: Desk, api: Browser) -> None:
    made = await apply(api, DOCUMENT)
    assert [(action, kind, name) for action, kind, name, _ in made] == [
        ("create", "zookeeper", "zk"),
        ("create", "node", "n1"),
        ("create", "node", "n2"),
        ("create", "data-source", "hangzhou"),
        ("create", "data-source", "us-west"),
        ("create", "table", "hangzhou/shop.orders"),
        ("create", "table", "us-west/shop.orders"),
        ("create", "table", "hangzhou/shop.lines"),
        ("create", "table", "us-west/copy.lines"),
        ("create", "channel", "shop"),
        ("create", "pipeline", "shop/a2b"),
    ]
    version = desk.store.version()
    assert {action for action, *_ in await apply(api, DOCUMENT)} == {"keep"}
    assert desk.store.version() == version


async def test_an_export_is_applied_again_without_a_change(desk: Desk, api: Browser) -> None:
    await apply(api, DOCUMENT)
    exported = await api.get("/export")
    assert all(source.password.startswith("enc:") for source in exported.data_sources)
    version = desk.store.version()
    assert {action for action, *_ in await apply(api, exported)} == {"keep"}
    assert desk.store.version() == version


async def test_an_export_makes_the_same_store_anew(desk: Desk, api: Browser) -> None:
    """With the same numbers: they stand in the targets' marks."""
    await apply(api, DOCUMENT)
    for number in (1, 2):
        await api.post("/channels", Channel(name=f"more {number}"), 201)
    await api.call("DELETE", "/channels/more%201", status=204)
    exported = await api.get("/export")
    for name in ("shop", "more%202"):
        await drop_channel(desk, name.replace("%20", " "))
    for table in exported.tables:
        await api.call("DELETE", f"/tables/{table.address}", status=204)
    for path, items in (("nodes", exported.nodes), ("data-sources", exported.data_sources), ("zookeepers", [ZK])):
        for item in items:
            await api.call("DELETE", f"/{path}/{item.name}", status=204)
    await apply(api, exported)
    assert await api.get("/export") == exported


async def drop_channel(desk: Desk, name: str) -> None:
    """Without asking ZooKeeper, which this test does not have."""
    from otter.manager import catalog as c

    await desk.edit("test", lambda catalog: c.remove(catalog, c.Kind.CHANNEL, name))


async def test_a_dry_run_changes_nothing(desk: Desk, api: Browser) -> None:
    dry = await apply(api, DOCUMENT, "?dryRun=true")
    assert desk.store.version() == 1
    assert dry == await apply(api, DOCUMENT)


async def test_a_change_names_its_fields(api: Browser) -> None:
    await apply(api, DOCUMENT)
    pipeline = msgspec.structs.replace(
        A2B,
        parameters=PipelineParameters(parallelism=8),
        pairs=(Pair(source="shop.orders", push_weight=1), Pair(source="shop.new")),
    )
    document = Document(
        nodes=(msgspec.structs.replace(N1, ip="127.0.0.2"),), channels=(Channel(name="shop", pipelines=(pipeline,)),)
    )
    changed = [step for step in await apply(api, document) if step[0] != "keep"]
    assert changed == [
        ("change", "node", "n1", ("ip",)),
        ("create", "table", "hangzhou/shop.new", ()),
        ("create", "table", "us-west/shop.new", ()),
        ("change", "pipeline", "shop/a2b",
         ("pairs[shop.orders]", "pairs[shop.lines]", "pairs[shop.new]", "parameters.parallelism")),
    ]  # fmt: skip
    exported = await api.get("/export")
    assert len(exported.nodes) == 2
    assert exported.channels[0].pipelines[0].id == 1


async def test_pipelines_are_matched_by_name_and_others_stay(api: Browser) -> None:
    await apply(api, DOCUMENT)
    back = msgspec.structs.replace(A2B, name="b2a", source="us-west", target="hangzhou", pairs=())
    await apply(api, Document(channels=(Channel(name="shop", pipelines=(back,)),)))
    exported = await api.get("/export")
    assert [(pipeline.name, pipeline.id) for pipeline in exported.channels[0].pipelines] == [("a2b", 1), ("b2a", 2)]


@pytest.mark.parametrize(("given", "stored"), [("", "s3cret"), ("s3cret", "s3cret"), ("new", "new")])
async def test_passwords(desk: Desk, api: Browser, given: str, stored: str) -> None:
    await apply(api, DOCUMENT)
    before = desk.store.catalog().data_sources["hangzhou"]
    source = msgspec.structs.replace(SOURCES[0], password=given)
    (step,) = await apply(api, Document(data_sources=(source,)))
    after = desk.store.catalog().data_sources["hangzhou"]
    assert desk.vault.clear(after).password == stored
    assert (step[0], after == before) == (("keep", True) if stored == "s3cret" else ("change", False))


async def test_a_password_of_another_cluster_is_refused(desk: Desk, api: Browser) -> None:
    source = msgspec.structs.replace(SOURCES[0], password="enc:" + "A" * 64)
    problem = await api.post("/apply", Document(data_sources=(source,)), 400)
    assert (problem.field, "another cluster key" in problem.detail) == ("password", True)


async def test_one_bad_object_and_nothing_is_done(desk: Desk, api: Browser) -> None:
    bad = msgspec.structs.replace(A2B, load_nodes=("n7",))
    document = msgspec.structs.replace(DOCUMENT, channels=(Channel(name="shop", pipelines=(bad,)),))
    assert "n7" in (await api.post("/apply", document, 400)).detail
    assert desk.store.version() == 1


async def test_doubles_in_a_document_are_named(api: Browser) -> None:
    problem = await api.post("/apply", Document(zookeepers=(ZK, ZK)), 400)
    assert problem.field == "zookeepers[1]"


async def test_removed_parameters_get_advice_with_their_place(api: Browser) -> None:
    body = b"""{"channels": [{"name": "c", "pipelines": [{"name": "p", "source": "a", "target": "b",
        "selectNodes": ["n"], "loadNodes": ["n"], "parameters": {"skipLoadException": true}}]}]}"""
    problem = await api.post("/apply", body, 400)
    assert problem.field == "channels[0].pipelines[0].parameters.skipLoadException"
    assert "onRowError" in problem.hint
