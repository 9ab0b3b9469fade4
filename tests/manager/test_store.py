"""The store over SQLite and over a real MariaDB: the same suite."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import alembic.autogenerate
import alembic.migration
import msgspec
import pytest
from sqlalchemy import Engine, select

from otter.errors import BadConfig, Retryable
from otter.manager import catalog as c
from otter.manager.catalog import Catalog, Kind
from otter.manager.refusal import Conflict, Refusal
from otter.manager.store import tables as t
from otter.manager.store.engine import migrate, open_engine, transaction, url_of
from otter.manager.store.store import Store
from otter.model.config import Channel, Node, Pair, PipelineParameters, StartFrom
from otter.settings import Settings
from tests.manager.conftest import make_settings
from tests.manager.objects import A2B, N1, SHOP, US_WEST, ZK, full


@pytest.fixture
def store(engine: Engine) -> Store:
    return Store(engine)


def test_migrations_make_the_schema_of_today(engine: Engine) -> None:
    with engine.connect() as connection:
        context = alembic.migration.MigrationContext.configure(connection)
        assert alembic.autogenerate.compare_metadata(context, t.metadata) == []


def test_two_managers_migrate_an_empty_store_at_once(store_settings: Settings) -> None:
    engines = [open_engine(url_of(store_settings)) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(migrate, engines))
    assert Store(engines[0]).version() == 1
    for engine in engines:
        engine.dispose()


def test_everything_comes_back_as_it_went_in(store: Store) -> None:
    pipeline = msgspec.structs.replace(
        A2B,
        start=StartFrom(gtid="0-1-42"),
        parameters=PipelineParameters(parallelism=9),
        load_nodes=("n2", "n1"),
        description="从杭州到美西",
    )
    catalog = store.edit("admin", lambda old: c.put(full(old), msgspec.structs.replace(SHOP, pipelines=(pipeline,))))
    assert Store(store.engine).catalog() == catalog
    back = catalog.pipeline("shop", "a2b")
    assert msgspec.structs.replace(back, id=0) == pipeline
    assert [node.nid for node in catalog.nodes.values()] == [1, 2]
    assert set(catalog.tables) == {
        "hangzhou/shop.orders", "us-west/shop.orders", "hangzhou/shop.lines", "us-west/copy.lines",
    }  # fmt: skip


def test_an_edit_that_changes_nothing_does_not_move_the_version(store: Store) -> None:
    version = store.edit("admin", full).version
    assert version == 2
    assert store.edit("admin", lambda old: c.replace(old, "n1", N1)).version == version


def test_numbers_are_never_given_twice(store: Store) -> None:
    store.edit("admin", full)
    store.edit("admin", lambda old: c.remove(old, Kind.CHANNEL, "shop"))
    store.edit("admin", lambda old: c.remove(old, Kind.NODE, "n2"))
    catalog = store.edit("admin", full_again)
    assert catalog.channel("shop").id == 2
    assert catalog.pipeline("shop", "a2b").id == 2
    assert catalog.nodes["n3"].nid == 3


def full_again(catalog: Catalog) -> Catalog:
    n3 = Node(name="n3", ip="127.0.0.1", port=2288, download_port=9290, zookeeper="zk")
    pipeline = msgspec.structs.replace(A2B, load_nodes=("n3",))
    return c.create(c.create(catalog, n3), Channel(name="shop", pipelines=(pipeline,)))


def test_pipelines_and_pairs_change_and_go(store: Store) -> None:
    store.edit("admin", full)
    where = ("shop", "a2b")
    store.edit("admin", lambda old: c.put_pair(old, where, Pair(source="shop.new")))
    store.edit("admin", lambda old: c.put_pair(old, where, Pair(source="shop.orders", target="x.y"), "shop.orders"))
    catalog = store.edit("admin", lambda old: c.remove_pair(old, where, "shop.lines"))
    assert [(pair.source, pair.target) for pair in catalog.pipeline(*where).pairs] == [
        ("shop.orders", "x.y"), ("shop.new", ""),
    ]  # fmt: skip
    catalog = store.edit("admin", lambda old: c.remove_pipeline(old, *where))
    assert catalog.channel("shop").pipelines == ()
    assert Store(store.engine).catalog() == catalog


def test_objects_get_other_names(store: Store) -> None:
    store.edit("admin", full)
    renamed = Channel(name="mall")
    catalog = store.edit("admin", lambda old: c.replace(old, "shop", renamed))
    assert catalog.channel("mall").id == 1
    assert catalog.pipeline("mall", "a2b").id == 1
    with pytest.raises(Conflict, match=r"n1.*cannot be renamed.*mall/a2b"):
        store.edit("admin", lambda old: c.replace(old, "n1", msgspec.structs.replace(N1, name="nx")))


def test_what_is_in_use_stays(store: Store) -> None:
    store.edit("admin", full)
    for kind, name in ((Kind.ZOOKEEPER, "zk"), (Kind.DATA_SOURCE, "us-west"), (Kind.TABLE, "hangzhou/shop.orders")):
        with pytest.raises(Conflict, match="it is used by"):
            store.edit("admin", lambda old, kind=kind, name=name: c.remove(old, kind, name))
    assert store.version() == 2


def test_names_differ_by_case(store: Store) -> None:
    upper = msgspec.structs.replace(N1, name="N1", port=1, download_port=2)
    assert {"n1", "N1"} <= set(store.edit("admin", lambda old: c.create(full(old), upper)).nodes)


def test_a_breach_of_the_rules_leaves_nothing(store: Store) -> None:
    with pytest.raises(Refusal):
        store.edit("admin", lambda old: c.create(old, N1))
    assert store.catalog() == Catalog(version=1)


def test_who_changed_what_is_logged_without_values(store: Store) -> None:
    store.edit("admin", full)
    store.edit("eve", lambda old: c.replace(old, "us-west", msgspec.structs.replace(US_WEST, password="enc:secret")))
    with transaction(store.engine) as connection:
        records = connection.execute(select(t.log_record).order_by(t.log_record.c.id)).mappings().all()
    assert {(r["action"], r["kind"], r["name"]) for r in records} >= {("create", "pipeline", "shop/a2b")}
    assert (records[-1]["user_name"], records[-1]["action"], records[-1]["message"]) == ("eve", "change", "password")
    assert not [r for r in records if "secret" in r["message"]]


def test_writers_wait_for_each_other(store: Store) -> None:
    store.edit("admin", lambda old: c.create(old, ZK))

    def add(number: int) -> None:
        node = Node(name=f"n{number}", ip="10.0.0.1", port=1000 + number, download_port=2000 + number, zookeeper="zk")
        Store(store.engine).edit("admin", lambda old: c.create(old, node))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(12)))
    catalog = store.catalog()
    assert sorted(node.nid for node in catalog.nodes.values()) == list(range(1, 13))
    assert catalog.version == 14


def test_a_bad_address_says_so(tmp_path) -> None:
    with pytest.raises(BadConfig, match=r"otter.database.url.*sqlite:///FILE"):
        url_of(make_settings(tmp_path, OTTER_DATABASE_URL="oracle://x"))
    engine = open_engine(url_of(make_settings(tmp_path, OTTER_DATABASE_URL="mysql://127.0.0.1:1/none")))
    with pytest.raises(Retryable, match=r"store does not answer"):
        migrate(engine)
