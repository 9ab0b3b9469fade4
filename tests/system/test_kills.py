"""Every process and server dies once while a writer writes; then all is there, once, and was never half there."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from otter.model.config import ChannelStatus

from .cluster import LOADERS, SESSION, until
from .proxy import Proxy


def kill_and_go_on(bank: Any, pid: int) -> None:
    """SIGKILL in the middle of the writing."""
    bank.writer.more(20)
    os.kill(pid, signal.SIGKILL)
    bank.writer.more(20)


def test_select_side(open_bank: Any) -> None:
    bank = open_bank()
    before = bank.channel.side("select").pid
    kill_and_go_on(bank, before)
    bank.settle()
    until(lambda: bank.channel.side("select").pid != before, "the new side is shown")


def test_load_side_and_its_successor(open_bank: Any) -> None:
    bank = open_bank(loadNodes=["n3", "n4"])
    first = bank.channel.side("load").pid
    kill_and_go_on(bank, first)
    until(lambda: bank.channel.side("load").pid != first, "another load side loads")
    kill_and_go_on(bank, bank.channel.side("load").pid)
    bank.settle()


def test_supervisor_of_the_select_node(open_bank: Any) -> None:
    bank = open_bank()
    cluster = bank.channel.cluster
    side = bank.channel.side("select").pid
    bank.writer.more(20)
    cluster.kill_node(1)
    until(lambda: gone(side), "an orphaned side ends by itself", 30)
    cluster.start_node(1)
    bank.writer.more(20)
    bank.settle()


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_supervisor_of_the_load_node_and_another_takes_over(open_bank: Any) -> None:
    bank = open_bank(loadNodes=["n3", "n4"])
    bank.writer.more(20)
    first = bank.channel.side("load").nid
    bank.channel.cluster.kill_node(first)
    bank.writer.more(20)
    bank.settle()
    until(lambda: bank.channel.side("load").nid == 7 - first, "the other load node is shown")


def test_aria2c(open_bank: Any) -> None:
    bank = open_bank(pad=300_000, pause=0.1, parameters={"pipeChooseType": "HTTP"})
    cluster = bank.channel.cluster
    before = cluster.aria2_of(3)
    kill_and_go_on(bank, before)
    bank.settle()
    until(lambda: cluster.aria2_of(3) != before, "aria2c runs again")


def test_forkserver(open_bank: Any) -> None:
    """Its children live on; the next side needs a new one."""
    bank = open_bank()
    cluster = bank.channel.cluster
    kill_and_go_on(bank, cluster.forkserver_of(1))
    kill_and_go_on(bank, bank.channel.side("select").pid)
    bank.settle()


def test_zookeeper_restarted(open_bank: Any) -> None:
    bank = open_bank()
    zookeeper = bank.channel.cluster.zookeeper
    bank.writer.more(20)
    zookeeper.stop(signal.SIGKILL)
    bank.writer.more(20)
    time.sleep(SESSION * 1.5)  # longer than any session: every seat is lost
    zookeeper.start()
    bank.writer.more(20)
    bank.channel.cluster.zookeeper_is_back()
    bank.settle()


def test_target_restarted(open_bank: Any) -> None:
    bank = open_bank()
    target = bank.channel.cluster.us_west
    bank.writer.more(20)
    target.stop(signal.SIGKILL)
    bank.writer.more(20)
    target.start()
    bank.settle()


def test_source_restarted(open_bank: Any) -> None:
    bank = open_bank()
    source = bank.channel.cluster.hangzhou
    bank.writer.more(20)
    source.stop(signal.SIGTERM)
    source.start()
    bank.writer.more(20)
    bank.settle()


def test_link_cut_in_the_middle_of_a_file(open_bank: Any, cluster: Any) -> None:
    parameters = {"useExternalIp": True, "pipeChooseType": "HTTP"}
    with Proxy.before(cluster, 1) as (link, download):
        bank = open_bank(pad=400_000, pause=0.2, parameters=parameters)
        for proxy in (download, link, download):
            download.rate = 100_000
            carried = download.carried
            until(lambda start=carried: download.carried > start + 50_000, "a file is on its way")
            proxy.cut()
            download.rate = 0
            bank.writer.more(3)
        bank.settle()
        bank.channel.tell(ChannelStatus.STOP)


def test_manager_is_not_needed(open_bank: Any) -> None:
    """Killed: rows flow on, a node that starts meanwhile comes back from its cache; it returns and shows all."""
    bank = open_bank()
    channel, cluster = bank.channel, bank.channel.cluster
    bank.writer.more(20)
    cluster.manager.kill()
    journal = f"SELECT COUNT(*) FROM {channel.schema}.journal"
    seen = cluster.us_west.run(journal)[0][0]
    until(lambda: cluster.us_west.run(journal)[0][0] > seen + 50, "rows flow without a manager", 30)
    cluster.nodes[1].stop()
    cluster.start_node(1)
    assert "going on from the cached configuration" in cluster.nodes[1].log()
    seen = cluster.us_west.run(journal)[0][0]
    until(lambda: cluster.us_west.run(journal)[0][0] > seen + 50, "rows flow from a cached configuration", 60)
    cluster.start_manager()
    until(cluster.all_alive, "the manager sees all nodes")
    until(lambda: channel.mainstem() == 1, "the mainstem is shown")
    bank.settle()


def test_three_load_nodes_take_turns(open_bank: Any) -> None:
    bank = open_bank(loadNodes=[f"n{nid}" for nid in LOADERS], parameters={"lbAlgorithm": "RoundRbin"})

    def loaded() -> set[int]:
        return {side.nid for side in bank.channel.view.sides if side.side == "load" and side.rows}

    until(lambda: loaded() == set(LOADERS), "each of the three has loaded rows")
    bank.writer.more(20)
    bank.settle()


def test_the_other_select_node_takes_over(open_bank: Any) -> None:
    bank = open_bank(selectNodes=["n1", "n2"])
    channel, cluster = bank.channel, bank.channel.cluster
    first = channel.mainstem()
    journal = f"SELECT COUNT(*) FROM {channel.schema}.journal"
    bank.writer.more(20)
    cluster.nodes[first].process.send_signal(signal.SIGSTOP)  # the side cannot be started again by its supervisor
    try:
        os.kill(channel.side("select").pid, signal.SIGKILL)
        killed = time.monotonic()
        seen = cluster.us_west.run(journal)[0][0]
        until(lambda: cluster.us_west.run(journal)[0][0] > seen + 20, "the other node selects", SESSION + 5)
        assert time.monotonic() - killed < SESSION + 5
    finally:
        cluster.nodes[first].process.send_signal(signal.SIGCONT)
    until(lambda: channel.mainstem() == 3 - first, "the other node is shown")
    bank.settle()


def test_a_select_side_that_was_asleep_does_no_harm(open_bank: Any) -> None:
    bank = open_bank(selectNodes=["n1", "n2"])
    channel, cluster = bank.channel, bank.channel.cluster
    first = channel.mainstem()
    sleeper = channel.side("select").pid
    journal = f"SELECT COUNT(*) FROM {channel.schema}.journal"
    bank.writer.more(20)
    os.kill(sleeper, signal.SIGSTOP)
    try:
        seen = cluster.us_west.run(journal)[0][0]
        until(lambda: cluster.us_west.run(journal)[0][0] > seen + 20, "the other node selects", SESSION * 2 + 10)
    finally:
        os.kill(sleeper, signal.SIGCONT)
    bank.writer.more(40)
    until(lambda: channel.mainstem() == 3 - first, "the other node is shown")
    bank.settle()
