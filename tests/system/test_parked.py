"""A row that the target refuses waits, is said as long as it waits, and everything else flows (D9)."""

from __future__ import annotations

from otter.model.config import ChannelStatus
from otter.model.stats import State

from .cluster import Cluster, Line, channel_of, until


def test_a_refused_row_is_parked_and_said_also_after_a_restart(cluster: Cluster, schema: str) -> None:
    cluster.hangzhou.run(f"CREATE TABLE {schema}.t (id INT PRIMARY KEY, n INT)")
    cluster.us_west.run(f"CREATE TABLE {schema}.t (id INT PRIMARY KEY, n INT, CHECK (n < 100))")
    line = Line(cluster.hangzhou, cluster.us_west, {f"{schema}.t": f"{schema}.t"})
    with channel_of(cluster, [line], schema) as channel:
        channel.start()
        cluster.hangzhou.run(f"INSERT INTO {schema}.t VALUES (1, 1), (2, 500), (3, 3)")
        cluster.hangzhou.run(f"UPDATE {schema}.t SET n = 7 WHERE id = 2", f"UPDATE {schema}.t SET n = 8 WHERE id = 3")
        channel.wait()
        assert cluster.us_west.run(f"SELECT * FROM {schema}.t ORDER BY id") == [(1, 1), (3, 8)]
        waiting = f"SELECT kind FROM retl.otter_parked WHERE pipeline_id = {channel.view.id} ORDER BY id"
        assert [kind for (kind,) in cluster.us_west.run(waiting)] == ["INSERT", "UPDATE"]  # the follower, too, in order
        channel.said("parked rows: 1")
        channel.tell(ChannelStatus.STOP)
        until(lambda: channel.view.state is State.STOPPED, "the channel stops")
        channel.start()
        until(lambda: channel.view.parked == 1, "the parked row is still said")
