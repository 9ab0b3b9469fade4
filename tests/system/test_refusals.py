"""A node that cannot start says in one sentence which setting it is and how to mend it, and ends with an error; or it
waits where waiting is right, and says that, too."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.processes import OTTER, Program
from bench.servers import free_port

from .cluster import Cluster, until

BAD_CONFIG = 3
NID = 77


@pytest.fixture
def home(cluster: Cluster) -> Iterator[Path]:
    """The home of a sixth node that the manager does not know."""
    yield cluster.init_node(NID)
    shutil.rmtree(cluster.home_of(NID))


def run(home: Path, *role: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*OTTER, *(role or ("node",)), "run", "--home", str(home)], capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


def refused(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    said = [line for line in done.stderr.splitlines() if line.startswith(("otter: ", "  hint: "))]
    assert done.returncode == BAD_CONFIG, done.stderr
    assert said and all(part in " ".join(said) for part in parts), done.stderr
    assert "Traceback" not in done.stderr


def change(home: Path, **settings: Any) -> None:
    with (home / "conf" / "otter.properties").open("a") as properties:
        properties.writelines(f"{name.replace('__', '.')} = {value}\n" for name, value in settings.items())


def test_nid_the_manager_does_not_know(home: Path) -> None:
    refused(run(home), f"nid = {NID}", "the manager knows no such node", "conf/nid")


def test_nid_that_is_no_number(home: Path) -> None:
    (home / "conf" / "nid").write_text("six")
    refused(run(home), "nid = 'six'", "conf/nid")


def test_nid_that_a_live_node_holds(cluster: Cluster, home: Path) -> None:
    (home / "conf" / "nid").write_text("3")
    refused(run(home), "nid = 3", "a live node holds it", str(cluster.home_of(3)), "conf/nid")


def test_home_that_is_in_use(cluster: Cluster) -> None:
    refused(run(cluster.home_of(3)), "otter.nodeHome", "a node runs from this folder already")


@pytest.mark.parametrize("which", ["port", "downloadPort"])
def test_port_that_is_taken(cluster: Cluster, home: Path, which: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = {"port": free_port(), "downloadPort": free_port(), which: taken.getsockname()[1]}
        node = {"name": "n6", "nid": NID, "ip": "127.0.0.1", "zookeeper": "zk", **ports}
        cluster.apply(nodes=[node])
        try:
            refused(run(home), f"{which} of node n6 = {ports[which]}", "cannot listen", "another port")
        finally:
            cluster.delete("nodes/n6")


def test_key_that_does_not_exist(home: Path) -> None:
    change(home, otter__zookeeper__sesionTimeout=4000)
    refused(run(home), "otter.zookeeper.sesionTimeout", "did you mean otter.zookeeper.sessionTimeout")


def test_key_that_otter_had(home: Path) -> None:
    change(home, otter__manager__productionMode="true")
    refused(run(home), "otter.manager.productionMode", "remove it")


def test_another_cluster_key(home: Path) -> None:
    key = home / "conf" / "cluster.key"
    text = key.read_text()
    key.write_text(text[:-10] + "".join("1" if c == "0" else "0" for c in text[-10:].strip()) + "\n")
    refused(run(home), "otter.cluster.keyFile", "another cluster key")


def test_no_cluster_key(home: Path) -> None:
    (home / "conf" / "cluster.key").unlink()
    refused(run(home), "cluster.key")


def test_manager_that_cannot_be_reached_is_waited_for(home: Path) -> None:
    change(home, otter__manager__address=f"127.0.0.1:{free_port()}")
    waits(home, "no manager answers", "trying again", "otter.manager.address")


def test_zookeeper_that_cannot_be_reached_is_waited_for(cluster: Cluster, home: Path) -> None:
    node = {"name": "n6", "nid": NID, "ip": "127.0.0.1", "zookeeper": "far", "port": free_port(),
            "downloadPort": free_port()}  # fmt: skip
    address = f"127.0.0.1:{free_port()}"
    cluster.apply(zookeepers=[{"name": "far", "servers": [address]}], nodes=[node])
    try:
        waits(home, f"no ZooKeeper of {address} answered", "trying again")
    finally:
        cluster.delete("nodes/n6")
        cluster.delete("zookeepers/far")


def waits(home: Path, *parts: str) -> None:
    program = Program("node", home, {"PATH": "/usr/bin:/bin"})
    try:
        until(lambda: all(part in program.log() for part in parts), f"{parts} in the log", 40)
        assert program.process.poll() is None
        program.process.terminate()
        assert program.process.wait(20) != 0
    finally:
        program.stop()


def test_manager_whose_port_is_taken(cluster: Cluster, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        home = tmp_path / "manager"
        (home / "conf").mkdir(parents=True)
        change(home, otter__port=taken.getsockname()[1], otter__bind="127.0.0.1",
               otter__communication__manager__port=free_port())  # fmt: skip
        init = subprocess.run([*OTTER, "manager", "init", "--home", str(home)], capture_output=True, check=True)
        assert b"admin" in init.stdout
        refused(run(home, "manager"), "otter.port", "cannot listen", "another port")


def test_all_load_nodes_stopped_is_said(open_bank: Any) -> None:
    bank = open_bank(loadNodes=["n5"])
    bank.writer.more(10)
    bank.channel.cluster.nodes[5].stop()
    view = bank.channel.said("held up", 30)
    assert "load" in view.words and "n5" in view.words, view.words
    bank.channel.cluster.start_node(5)
    bank.settle()
