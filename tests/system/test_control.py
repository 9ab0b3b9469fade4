"""start, pause, stop, wait, status, inspect, doctor: what an operator types, and what is answered."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from otter.model.config import ChannelStatus
from otter.model.stats import ClusterStatus, State

from .cluster import Cluster, Line, channel_of, ended, until
from .test_rows import fill, make


def one_table(cluster: Cluster, schema: str) -> Line:
    for server in (cluster.hangzhou, cluster.us_west):
        server.run(*make(schema, "orders"))
    return Line(cluster.hangzhou, cluster.us_west, {f"{schema}.orders": f"{schema}.orders"})


def test_pause_and_stop_hold_rows_back_and_start_goes_on(open_bank: Any) -> None:
    bank = open_bank()
    channel, target = bank.channel, bank.channel.cluster.us_west
    for status, state in ((ChannelStatus.PAUSE, State.PAUSED), (ChannelStatus.STOP, State.STOPPED)):
        bank.writer.more(20)
        channel.cluster.otter("channel", status.value.lower(), channel.name)
        channel.rests(state)
        before = target.run(f"SELECT COUNT(*) FROM {channel.schema}.journal")
        bank.writer.more(40)
        assert target.run(f"SELECT COUNT(*) FROM {channel.schema}.journal") == before
        done = channel.cluster.run("wait", channel.name, "--timeout", "1")
        assert done.returncode != 0 and "not started" in done.stderr
        channel.cluster.otter("channel", "start", channel.name)
    bank.settle()


def test_wait_says_what_is_missing(cluster: Cluster, schema: str) -> None:
    with channel_of(cluster, [one_table(cluster, schema)], schema) as channel:
        channel.start()
        with cluster.us_west.connect() as session, session.cursor() as cursor:
            cursor.execute(f"LOCK TABLES {schema}.orders READ")
            cluster.hangzhou.run(f"INSERT INTO {schema}.orders VALUES (1, 'late', NULL)")
            done = cluster.run("wait", channel.name, "--timeout", "2")
            ended(done, 1, "has not caught up after 2 s", "the target is at", "the source was at")
        done = cluster.run("wait", channel.name, "--timeout", "60")
        assert done.returncode == 0, done.stderr
        assert cluster.us_west.run(f"SELECT words FROM {schema}.orders") == [("late",)]


def test_a_lock_on_the_target_is_named(cluster: Cluster, schema: str) -> None:
    with channel_of(cluster, [one_table(cluster, schema)], schema) as channel:
        channel.start()
        cluster.hangzhou.run(f"INSERT INTO {schema}.orders VALUES (1, 'a', NULL)")
        channel.wait()
        with cluster.us_west.connect() as session, session.cursor() as cursor:
            session.begin()
            cursor.execute(f"SELECT * FROM {schema}.orders WHERE id = 1 FOR UPDATE")
            cluster.hangzhou.run(f"UPDATE {schema}.orders SET words = 'b' WHERE id = 1")
            view = channel.said("held up by target", 15)
            assert f"lock wait on {schema}.orders" in channel.said("lock wait", 15).last_error + view.words
        channel.arrived()
        channel.running()


def test_status_tells_each_stage(cluster: Cluster, schema: str) -> None:
    with channel_of(cluster, [one_table(cluster, schema)], schema) as channel:
        channel.start()
        cluster.hangzhou.run(*(f"INSERT INTO {schema}.orders VALUES ({number}, '', NULL)" for number in range(10)))
        channel.wait()
        until(lambda: channel.view.rows == 10, "ten rows are reported")
        until(lambda: channel.view.acked.position == channel.view.head.position, "the end is reported")
        status = msgspec.json.decode(cluster.otter("status", "--json"), type=ClusterStatus)
        view = next(shown for shown in status.channels if shown.name == channel.name).pipelines[0]
        assert (view.mainstem, view.loader, view.source, view.target) == ("n1", "n3", "hangzhou", "us-west")
        assert view.state is State.RUNNING and view.rows == 10 and 0 < view.delay < 30
        head = view.head.position
        assert head and all(
            stage.at for stage in (view.selected, view.extracted, view.shipped, view.loaded, view.acked)
        )
        assert view.selected.position == view.acked.position == head
        assert view.selected.number == view.acked.number == view.loaded.number > 1
        assert {(side.side, side.nid) for side in view.sides} == {("select", 1), ("load", 3)}
        assert status.zookeeper["zk"] == "" and cluster.all_alive()


def test_inspect_shows_a_file_that_waits(cluster: Cluster, schema: str) -> None:
    parameters = {"pipeChooseType": "HTTP"}
    with channel_of(cluster, [one_table(cluster, schema)], schema, parameters=parameters) as channel:
        channel.start()
        with cluster.us_west.connect() as session, session.cursor() as cursor:
            cursor.execute(f"LOCK TABLES {schema}.orders READ")
            fill(cluster, f"{schema}.orders", rows=5, size=40_000)
            htdocs = cluster.home_of(1) / "htdocs"
            file = until(lambda: next(htdocs.glob("*.otter"), None), "a file is in htdocs/")
            shown = json.loads(cluster.otter("inspect", str(file), "--json"))
            words = cluster.otter("inspect", str(file))
        assert shown["header"]["rows"] == 5 and shown["header"]["transactions"] == 1
        assert shown["tables"][0]["table"] == f"{schema}.orders" and shown["tables"][0]["inserts"] == 5
        assert [row["after"]["id"] for row in shown["rows"]] == [0, 1, 2, 3, 4]
        assert f"{schema}.orders" in words
        channel.arrived()


def test_doctor_finds_a_wrong_setting_by_name(cluster: Cluster, schema: str) -> None:
    with channel_of(cluster, [one_table(cluster, schema)], schema) as channel:
        channel.start()
        cluster.hangzhou.run("SET GLOBAL binlog_row_image = MINIMAL")
        try:
            done = cluster.run("doctor", "--channel", channel.name)
        finally:
            cluster.hangzhou.run("SET GLOBAL binlog_row_image = FULL")
        wrong = [line for line in done.stdout.splitlines() if "WRONG" in line]
        assert done.returncode == 1 and any("binlog_row_image" in line for line in wrong), done.stdout
        assert "SET GLOBAL binlog_row_image" in done.stdout.replace("\n", " "), done.stdout


def test_a_change_logged_as_statement_stops_by_name(cluster: Cluster, schema: str) -> None:
    with channel_of(cluster, [one_table(cluster, schema)], schema) as channel:
        channel.start()
        cluster.hangzhou.run(
            "SET SESSION binlog_format = STATEMENT", f"INSERT INTO {schema}.orders VALUES (1, 'text', NULL)"
        )
        view = channel.said("as a statement, not as rows")
        assert view.state is State.FAILED
        assert f"{schema}.orders" in view.words + view.last_error and "binlog_format=ROW" in view.words


def test_a_table_that_is_not_mapped_may_be_logged_as_statement(cluster: Cluster, schema: str) -> None:
    with channel_of(cluster, [one_table(cluster, schema)], schema) as channel:
        cluster.hangzhou.run(*make(schema, "private"))
        channel.start()
        cluster.hangzhou.run(
            "SET SESSION binlog_format = STATEMENT", f"INSERT INTO {schema}.private VALUES (1, 'text', NULL)",
            "SET SESSION binlog_format = ROW", f"INSERT INTO {schema}.orders VALUES (1, 'rows', NULL)",
        )  # fmt: skip
        channel.arrived()
