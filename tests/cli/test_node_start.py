"""A node that cannot start says so in one sentence; one that should wait says for what."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bench.processes import Installation
from bench.servers import Zookeeper, free_port

from .conftest import ROOT


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, zookeeper: Zookeeper) -> Iterator[Installation]:
    """A manager that knows nodes 1 and 2; no node runs."""
    made = Installation(tmp_path_factory.mktemp("installation"))
    made.init_manager()
    made.start_manager()
    node = {"ip": "127.0.0.1", "zookeeper": "zk"}
    nodes = [{"name": f"n{n}", "nid": n, **node, "port": free_port(), "downloadPort": free_port()} for n in (1, 2)]
    made.otter("apply", "-f", "-", feed=yaml.safe_dump(
        {"zookeepers": [{"name": "zk", "servers": [f"{zookeeper.address}"]}], "nodes": nodes}
    ))  # fmt: skip
    yield made
    made.stop()


def startup(home: Path, seconds: int = 60, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("OTTER_")}
    return subprocess.run(
        [str(ROOT / "bin" / "startup.sh"), "node", str(home)], cwd="/", capture_output=True, text=True, check=False,
        timeout=150, env={**kept, "OTTER_START_TIMEOUT": str(seconds), **environment},
    )  # fmt: skip


def stop(home: Path) -> str:
    done = subprocess.run(
        [str(ROOT / "bin" / "stop.sh"), "node", str(home)], capture_output=True, text=True, check=True
    )
    return done.stdout


def home_of(installation: Installation, nid: int, folder: str) -> Path:
    """A home for node ``nid``, in a folder that need not be its usual one."""
    home = installation.folder / folder
    key = installation.home / "conf" / "cluster.key"
    installation.otter("node", "init", str(home), "--nid", str(nid), "--manager", f"127.0.0.1:{installation.rpc_port}",
                       "--cluster-key-file", str(key), "--set=otter.bind=127.0.0.1")  # fmt: skip
    return home


def test_a_node_starts_and_a_second_with_its_nid_does_not(installation: Installation) -> None:
    home, twin = home_of(installation, 1, "first"), home_of(installation, 1, "twin")
    try:
        started = startup(home)
        assert started.returncode == 0, started.stderr
        assert started.stdout.strip().endswith("## the otter server is running now ......")
        refused = startup(twin)
        assert refused.returncode not in {0, 4}, refused.stderr
        assert "nid" in refused.stderr
        assert "Traceback" not in refused.stderr
    finally:
        stop(twin)
        assert "is stopped" in stop(home)


def test_a_nid_that_the_manager_does_not_know(installation: Installation) -> None:
    home = home_of(installation, 77, "unknown")
    refused = startup(home)
    stop(home)
    assert refused.returncode not in {0, 4}, refused.stderr
    assert "77" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("key", ["port", "downloadPort"])
def test_a_taken_port_names_the_node_and_the_port(installation: Installation, key: str) -> None:
    home = home_of(installation, 2, "second")
    nodes = yaml.safe_load(installation.otter("export"))["nodes"]
    port = next(node[key] for node in nodes if node["nid"] == 2)
    with socket.create_server(("127.0.0.1", port)):
        refused = startup(home)
    stop(home)
    assert refused.returncode not in {0, 4}, refused.stderr
    assert str(port) in refused.stderr
    assert "n2" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_no_manager_is_waited_for_and_said(installation: Installation) -> None:
    home = home_of(installation, 2, "alone")
    nowhere = f"127.0.0.1:{free_port()}"
    waiting = startup(home, 20, OTTER_MANAGER_ADDRESS=nowhere)
    begin = time.monotonic()
    assert "is stopped" in stop(home)
    assert time.monotonic() - begin < 25
    assert waiting.returncode == 4
    assert nowhere in waiting.stderr
    assert "goes on trying" in waiting.stderr


def test_another_cluster_key_is_said(installation: Installation) -> None:
    home = home_of(installation, 2, "stranger")
    key = home / "conf" / "cluster.key"
    text = key.read_text()
    key.write_text(("0" if text[0] != "0" else "1") + text[1:])
    refused = startup(home, 20)
    stop(home)
    assert refused.returncode != 0
    assert "key" in refused.stderr
    assert "Traceback" not in refused.stderr
