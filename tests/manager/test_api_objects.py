"""CRUD of every kind, the problems it answers with, and the OpenAPI document."""

from __future__ import annotations

import re
from urllib.parse import quote

import msgspec
import pytest
from aiohttp.test_utils import TestClient

from otter.manager.api.operate import HEALTH
from otter.manager.api.web import ROUTES
from otter.manager.desk import Desk
from otter.model.config import Channel, DataSource, Node, Pair, Pipeline, Table, ZooKeeperCluster
from tests.manager.conftest import KEY, Browser
from tests.manager.objects import A2B, N1, N2, SHOP, ZK

HANGZHOU = DataSource(name="hangzhou", host="127.0.0.1", port=3306, username="otter", password="s3cret")
US_WEST = DataSource(name="us-west", host="127.0.0.1", port=3307, username="otter", password="other")


@pytest.fixture
async def base(api: Browser) -> Browser:
    for path, item in (("zookeepers", ZK), ("nodes", N1), ("nodes", N2)):
        await api.post(f"/{path}", item, 201)
    for source in (HANGZHOU, US_WEST):
        await api.post("/data-sources", source, 201)
    return api


async def test_every_kind_is_made_read_changed_and_deleted(base: Browser) -> None:
    table = Table(source="hangzhou", schema="shop", name="extra")
    kinds = (
        ("zookeepers", ZooKeeperCluster(name="zk2", servers=("127.0.0.1:1",)), "zk2"),
        ("nodes", Node(name="n 3", ip="127.0.0.1", port=1, download_port=2, zookeeper="zk"), "n 3"),
        ("data-sources", DataSource(name="third", host="h", username="u"), "third"),
        ("tables", table, table.address),
        ("channels", Channel(name="empty"), "empty"),
    )
    for path, item, name in kinds:
        made = await base.post(f"/{path}", item, 201)
        assert (await base.post(f"/{path}", item, 409)).field == "name"
        one = f"/{path}/{quote(name, safe='')}"
        assert await base.get(one) == made
        assert made in await base.get(f"/{path}")
        changed = await base.call("PUT", one, msgspec.structs.replace(made, description="改"))
        assert changed.description == "改"
        await base.call("DELETE", one, status=204)
        assert name in (await base.get(one, 404)).detail


async def test_pipelines_and_pairs(base: Browser) -> None:
    await base.post("/channels", Channel(name="shop"), 201)
    pipeline = await base.post("/channels/shop/pipelines", msgspec.structs.replace(A2B, pairs=()), 201)
    assert pipeline.id == 1
    pairs = "/channels/shop/pipelines/a2b/pairs"
    await base.post(pairs, Pair(source="shop.orders"), 201)
    assert "has a pair" in (await base.post(pairs, Pair(source="shop.orders"), 409)).detail
    await base.call("PUT", f"{pairs}/shop.orders", Pair(source="shop.orders", target="x.y"))
    without_pairs = b'{"name":"ab","source":"hangzhou","target":"us-west","selectNodes":["n1"],"loadNodes":["n2"]}'
    changed = await base.call("PUT", "/channels/shop/pipelines/a2b", without_pairs)
    assert (changed.id, changed.pairs) == (1, (Pair(source="shop.orders", target="x.y"),))
    assert {table.address for table in await base.get("/tables")} >= {"hangzhou/shop.orders", "us-west/x.y"}
    pairs = "/channels/shop/pipelines/ab/pairs"
    await base.call("DELETE", f"{pairs}/shop.orders", status=204)
    assert await base.get(pairs) == ()
    await base.call("DELETE", f"{pairs}/shop.orders", status=404)


async def test_a_channel_keeps_pipelines_that_a_change_does_not_name(base: Browser) -> None:
    await base.post("/channels", SHOP, 201)
    changed = await base.call("PUT", "/channels/shop", {"name": "mall", "description": "x"})
    assert (changed.name, [pipeline.name for pipeline in changed.pipelines]) == ("mall", ["a2b"])


async def test_passwords_go_in_and_never_come_out(desk: Desk, base: Browser) -> None:
    stored = desk.store.catalog().data_sources["hangzhou"]
    assert stored.password.startswith("enc:")
    assert desk.vault.clear(stored).password == "s3cret"
    assert (await base.get("/data-sources/hangzhou")).password == ""
    assert {source.password for source in await base.get("/data-sources")} == {""}
    await base.call("PUT", "/data-sources/hangzhou", msgspec.structs.replace(HANGZHOU, password="", port=3310))
    kept = desk.store.catalog().data_sources["hangzhou"]
    assert (kept.port, kept.password) == (3310, stored.password)
    await base.call("PUT", "/data-sources/hangzhou", msgspec.structs.replace(HANGZHOU, password="new"))
    assert desk.vault.clear(desk.store.catalog().data_sources["hangzhou"]).password == "new"
    foreign = msgspec.structs.replace(HANGZHOU, password="enc:AAAA")
    assert "another cluster key" in (await base.call("PUT", "/data-sources/hangzhou", foreign, 400)).detail


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        (b"{", "", "not JSON"),
        (b'{"ip": "h", "zookeeper": "zk"}', "name", "name is missing"),
        (b'{"name": "n", "ip": "h", "zookeeper": "zk", "port": "x"}', "port", "expected `int`, got `str`"),
        (b'{"name": "n", "ip": "h", "zookeeper": "zk", "port": 70000}', "port", "expected `int` <= 65535"),
        (b'{"name": "-", "ip": "h", "zookeeper": "zk"}', "name", "is not a name"),
        (b'{"name": "n", "ip": "h", "zookeeper": "zk", "dowloadPort": 1}', "dowloadPort", "did you mean downloadPort?"),
        (b'{"name": "n", "ip": "h", "zookeeper": "none"}', "zookeeper", "there is no ZooKeeper cluster 'none'"),
        (b'{"name": "n", "ip": "http://h", "zookeeper": "zk"}', "ip", "is not a host"),
        (b'{"name": "n", "ip": "127.0.0.1", "zookeeper": "zk"}', "port", "is taken by n1 (port)"),
        (b'{"name": "n", "ip": "h", "zookeeper": "zk", "useExternalIp": true}', "externalIp", "no external ip"),
        (b'{"name": "n", "ip": "h", "zookeeper": "zk", "nid": 1}', "nid", "is the nid of node n1"),
    ],
)
async def test_a_bad_node_is_answered_with_field_and_mend(base: Browser, body: bytes, field: str, words: str) -> None:
    status = 409 if "taken" in words or "nid of" in words else 400
    problem = await base.post("/nodes", body, status)
    assert problem.field == field
    assert words in problem.detail + problem.hint


def bad(**changes: object) -> Pipeline:
    return msgspec.structs.replace(A2B, **changes)


@pytest.mark.parametrize(
    ("pipeline", "field", "words"),
    [
        (bad(source="nope"), "source", "there is no data source 'nope'"),
        (bad(load_nodes=("n9",)), "loadNodes[0]", "there is no node 'n9'"),
        (bad(select_nodes=("n1", "n1")), "selectNodes[1]", "named twice"),
        (bad(select_nodes=("far",)), "loadNodes", "is in ZooKeeper"),
        (bad(pairs=(Pair(source="a.b"), Pair(source="a.b", target="c.d"))), "pairs[1].source", "mapped twice"),
        (bad(pairs=(Pair(source="a.b", target="c"),)), "pairs[0].target", "is not schema.table"),
        (bad(target="hangzhou", pairs=(Pair(source="a.b"),)), "pairs[0].target", "onto itself"),
        (bad(start={"time": "yesterday"}), "start.time", "is not a time"),
        (bad(start={"time": "2026-11-23T08:00:00"}), "start.time", "no time zone"),
        (bad(start={"time": "2026-11-23T08:00:00Z", "file": "b.1"}), "start", "several places"),
        (bad(parameters={"paralelism": 3}), "parameters.paralelism", "did you mean parallelism?"),
        (bad(parameters={"arbitrateMode": "RPC"}), "parameters.arbitrateMode", "there is one arbiter"),
        (bad(parameters={"parallelism": 100}), "parameters.parallelism", "<= 64"),
    ],
)
async def test_a_bad_pipeline_is_answered_with_field_and_mend(
    base: Browser, pipeline: Pipeline, field: str, words: str
) -> None:
    await base.post("/zookeepers", ZooKeeperCluster(name="zk2", servers=("h:1",)), 201)
    await base.post("/nodes", Node(name="far", ip="h", zookeeper="zk2"), 201)
    await base.post("/channels", Channel(name="shop"), 201)
    problem = await base.post("/channels/shop/pipelines", pipeline, 400)
    assert problem.field == field
    assert words in problem.detail + problem.hint


async def test_a_third_pipeline_is_one_too_many(base: Browser) -> None:
    await base.post("/channels", SHOP, 201)
    await base.post("/channels/shop/pipelines", bad(name="b2a", source="us-west", target="hangzhou"), 201)
    assert "two (both ways)" in (await base.post("/channels/shop/pipelines", bad(name="c"), 400)).hint


async def test_what_is_used_cannot_go_or_be_renamed(base: Browser) -> None:
    await base.post("/channels", SHOP, 201)
    assert "used by pipeline shop/a2b" in (await base.call("DELETE", "/nodes/n1", status=409)).detail
    renamed = msgspec.structs.replace(US_WEST, name="us-east", password="")
    assert "cannot be renamed" in (await base.call("PUT", "/data-sources/us-west", renamed, 409)).detail
    assert "node n1" in (await base.call("DELETE", "/zookeepers/zk", status=409)).detail


async def test_what_is_not_there_is_a_problem_too(api: Browser, client: TestClient) -> None:
    for path in ("/api/v1/nothing", "/nothing.js", "/../otter/__init__.py", "/%2e%2e/pyproject.toml"):
        async with client.get(path, headers=api.headers) as response:
            assert (response.status, response.content_type) == (404, "application/problem+json")


async def test_the_console_is_served_behind_strict_headers(client: TestClient) -> None:
    async with client.get("/") as response:
        assert response.status == 200
        assert "<html" in await response.text()
        headers = response.headers
        assert headers["Cache-Control"] == "no-cache"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "unsafe" not in headers["Content-Security-Policy"]
        etag = headers["ETag"]
    async with client.get("/", headers={"If-None-Match": etag}) as response:
        assert response.status == 304


async def test_the_openapi_document_has_every_route(client: TestClient) -> None:
    async with client.get("/api/v1/openapi.json") as response:
        document = await response.json()
    assert document["openapi"].startswith("3.1")
    listed = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert listed == {(route.method, f"/api/v1{route.template}") for route in ROUTES} | {("GET", "/healthz")}
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    for path, item in document["paths"].items():
        for operation in item.values():
            declared = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert declared == set(re.findall(r"{(\w+)}", path))
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', msgspec.json.encode(document).decode()))
    assert references <= set(document["components"]["schemas"])
    login = document["paths"]["/api/v1/login"]["post"]
    assert login["security"] == []
    assert "application/problem+json" in login["responses"]["401"]["content"]


async def test_health_needs_no_login(client: TestClient) -> None:
    async with client.get("/healthz") as response:
        assert msgspec.json.decode(await response.read(), type=HEALTH.answer).status == "ok"


async def test_key_is_not_in_any_answer(base: Browser) -> None:
    document = await base.get("/export")
    text = msgspec.json.encode(document).decode()
    assert "s3cret" not in text
    assert KEY.hex() not in text
