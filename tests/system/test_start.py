"""Where a pipeline that has never run begins."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from otter.cli.failure import Answer

from .cluster import Cluster, Line, channel_of, until
from .test_rows import make


def before_row_three(cluster: Cluster, schema: str, kind: str) -> dict[str, Any]:
    """Inserts rows 1 to 4; the start position that is between 2 and 3."""
    source = cluster.hangzhou
    source.run(*(f"INSERT INTO {schema}.orders VALUES ({number}, '', NULL)" for number in (1, 2)))
    gtid = str(source.run("SELECT @@gtid_binlog_pos")[0][0])
    file, offset, *_ = source.run("SHOW MASTER STATUS")[0]
    then = source.run("SELECT UNIX_TIMESTAMP()")[0][0] + 1  # binlog times are whole seconds
    until(lambda: source.run("SELECT UNIX_TIMESTAMP()")[0][0] >= then, "the next second begins", 5)
    source.run(*(f"INSERT INTO {schema}.orders VALUES ({number}, '', NULL)" for number in (3, 4)))
    time = datetime.datetime.fromtimestamp(then, datetime.UTC).isoformat()
    return {"gtid": {"gtid": gtid}, "file": {"file": file, "offset": offset}, "time": {"time": time}, "now": {}}[kind]


@pytest.mark.parametrize(
    ("kind", "there"), [("now", [5]), ("gtid", [3, 4, 5]), ("file", [3, 4, 5]), ("time", [3, 4, 5])]
)
def test_start(cluster: Cluster, schema: str, kind: str, there: list[int]) -> None:
    for server in (cluster.hangzhou, cluster.us_west):
        server.run(*make(schema, "orders"))
    start = before_row_three(cluster, schema, kind)
    line = Line(cluster.hangzhou, cluster.us_west, {f"{schema}.orders": f"{schema}.orders"})
    with channel_of(cluster, [line], schema, start=start) as channel:
        channel.start()
        cluster.hangzhou.run(f"INSERT INTO {schema}.orders VALUES (5, '', NULL)")
        channel.wait()
        assert [row[0] for row in cluster.us_west.run(f"SELECT id FROM {schema}.orders ORDER BY id")] == there


def test_a_start_time_that_is_none_is_refused_in_words(cluster: Cluster, schema: str) -> None:
    for server in (cluster.hangzhou, cluster.us_west):
        server.run(*make(schema, "orders"))
    line = Line(cluster.hangzhou, cluster.us_west, {f"{schema}.orders": f"{schema}.orders"})
    with (
        pytest.raises(Answer, match=r"start\.time.*'yesterday' is not a time.*2026-11-23T08:00:00\+08:00"),
        channel_of(cluster, [line], schema, start={"time": "yesterday"}),
    ):
        pass
