"""A batch file that is not what was written: said in words, brought or made again, nothing lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from .cluster import Channel, Cluster, Line, channel_of, until
from .test_rows import make


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)


def truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 100)


def other_version(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[8:10] = b"\xff\xfe"
    file.write_bytes(data)


def delete(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("load", ["n3", "n1"])
@pytest.mark.parametrize("damage", [flip, truncate, other_version, delete])
def test_damaged_file(cluster: Cluster, schema: str, damage: Callable[[Path], None], load: str) -> None:
    for server in (cluster.hangzhou, cluster.us_west):
        server.run(*make(schema, "orders"))
    line = Line(cluster.hangzhou, cluster.us_west, {f"{schema}.orders": f"{schema}.orders"})
    with channel_of(cluster, [line], schema, loadNodes=[load], parameters={"pipeChooseType": "HTTP"}) as channel:
        channel.start()
        for file in waiting_files(cluster, channel, schema, int(load[1:])):
            damage(file)
        os.kill(channel.side("load", int(load[1:])).pid, signal.SIGCONT)
        view = channel.said("is made again from the binlog")
        assert "batch" in view.last_error
        channel.arrived()


def waiting_files(cluster: Cluster, channel: Channel, schema: str, nid: int) -> list[Path]:
    """Three batches in htdocs/ that the load side, asleep, has not fetched."""
    htdocs = cluster.home_of(1) / "htdocs"
    os.kill(channel.side("load", nid).pid, signal.SIGSTOP)
    for number in range(3):
        cluster.hangzhou.run(f"INSERT INTO {schema}.orders VALUES ({number}, 'x', RANDOM_BYTES(1024))")
        until(lambda count=number: len(list(htdocs.glob("*.otter"))) > count, "a file is in htdocs/", 10)
    return list(htdocs.glob("*.otter"))
