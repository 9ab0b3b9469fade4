"""States in words, as a table: what ZooKeeper and the reports say, and what the operator reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from otter.manager.catalog import completed
from otter.manager.reports import Arrived
from otter.manager.view import Scene, Standing, stand, status_of
from otter.manager.zookeepers import Picture
from otter.model.config import ChannelStatus
from otter.model.process import Mainstem
from otter.model.stats import BatchView, NodeReport, PipelineView, SideReport, StageProgress, State
from tests.manager.objects import full

CATALOG = completed(full())
NOW = 1000.0
GTID_OLD, GTID_NEW = "0-1-41", "0-1-42"


def progress(number: int, position: str = GTID_NEW, at: float = 1.0) -> StageProgress:
    return StageProgress(position=position, number=number, at=at)


def select_side(**changes: Any) -> SideReport:
    base: dict[str, Any] = {
        "pipeline_id": 1, "side": "select", "nid": 1, "pid": 10, "state": State.RUNNING, "words": "running",
        "head": progress(0), "selected": progress(7), "extracted": progress(7), "shipped": progress(7),
        "acked": progress(7), "batches_inline": 3, "in_flight": (BatchView(
            number=7, stage="shipped", pipe="inline", size=1, rows=1),),
    }  # fmt: skip
    return SideReport(**(base | changes))


def load_side(**changes: Any) -> SideReport:
    base: dict[str, Any] = {
        "pipeline_id": 1, "side": "load", "nid": 2, "pid": 20, "state": State.RUNNING, "loaded": progress(7),
        "delay": 0.1, "rows": 55, "rows_per_second": 5.0,
    }  # fmt: skip
    return SideReport(**(base | changes))


@dataclass
class World:
    """A fine world; a case says what is different."""

    status: ChannelStatus | None = ChannelStatus.START
    words: str = ""
    alive: frozenset[int] = frozenset({1, 2})
    mainstem: int = 1
    select: SideReport | None = field(default_factory=select_side)
    load: SideReport | None = field(default_factory=load_side)
    age: float = 0.5
    standing: Standing = field(default_factory=Standing)

    def scene(self, now: float = NOW) -> Scene:
        picture = Picture(
            {"zk": self.words},
            self.alive,
            {} if self.status is None else {1: self.status},
            {1: Mainstem(self.mainstem, 4)} if self.mainstem else {},
        )
        reports = {
            nid: Arrived(_report(nid, side), now - self.age)
            for nid, side in ((1, self.select), (2, self.load))
            if side is not None
        }
        return Scene(CATALOG, picture, reports, self.standing, now)


def _report(nid: int, *sides: SideReport) -> NodeReport:
    return NodeReport(nid=nid, config_version=1, version="0", started=0.0, at=0.0, sides=sides)


def view(world: World) -> PipelineView:
    return status_of(world.scene(), 5.0).channels[0].pipelines[0]


BEHIND = {"acked": progress(6, GTID_OLD)}
OLD = load_side(loaded=progress(6, GTID_OLD))
STILL = Standing(still={1: ("6", NOW - 12)})

CASES = [
    ("fine", World(), State.RUNNING, "running"),
    ("stopped", World(status=ChannelStatus.STOP), State.STOPPED, "stopped"),
    ("never started", World(status=ChannelStatus.STOP, mainstem=0, select=None), State.STOPPED, "stopped"),
    ("paused", World(status=ChannelStatus.PAUSE), State.PAUSED, "paused"),
    ("ZooKeeper away", World(status=None, words="connection to h:1 lost"), State.HELD_UP,
     "unknown: ZooKeeper cluster zk: connection to h:1 lost; nodes may still be copying"),
    ("select nodes dead", World(alive=frozenset({2})), State.HELD_UP, "held up: no select node alive (n1 未启动)"),
    ("load nodes dead", World(alive=frozenset({1})), State.HELD_UP, "held up: no load node alive (n2 未启动)"),
    ("failed", World(select=select_side(state=State.FAILED, words="binlog gone")), State.FAILED,
     "binlog gone (select side on n1)"),
    ("load failed", World(load=load_side(state=State.FAILED, words="", last_error="no table")), State.FAILED,
     "no table (load side on n2)"),
    ("just started", World(mainstem=0, select=None, standing=Standing(seatless={1: NOW - 2})), State.STARTING,
     "starting: no mainstem yet (n1 alive)"),
    ("no mainstem for long", World(mainstem=0, select=None, standing=Standing(seatless={1: NOW - 60})), State.HELD_UP,
     "held up by select: no mainstem for 60 s (n1 alive, none took the seat)"),
    ("no mainstem, side says why",
     World(mainstem=0, select=select_side(words="source refuses"), standing=Standing(seatless={1: NOW - 60})),
     State.HELD_UP, "none took the seat): source refuses"),
    ("mainstem never reported", World(select=None), State.STARTING, "starting: n1 has not reported"),
    ("reports stale", World(age=12.0), State.HELD_UP, "n1 holds the mainstem and has not reported for 12 s"),
    ("side says", World(load=load_side(state=State.HELD_UP, words="lock wait on shop.orders")), State.HELD_UP,
     "lock wait on shop.orders (load side on n2)"),
    ("load hangs", World(select=select_side(**BEHIND), load=OLD, standing=STILL), State.HELD_UP,
     "held up by load: nothing loaded for 12 s while the source moves"),
    ("load hangs and says", World(select=select_side(**BEHIND), standing=STILL, load=load_side(
        loaded=progress(6, GTID_OLD), words="waiting for n1's file")), State.HELD_UP, ": waiting for n1's file"),
    ("ship hangs", World(select=select_side(**BEHIND, shipped=progress(6)), load=OLD, standing=STILL), State.HELD_UP,
     "held up by ship"),
    ("extract hangs",
     World(select=select_side(**BEHIND, extracted=progress(6), shipped=progress(6)), load=OLD, standing=STILL),
     State.HELD_UP, "held up by extract"),
    ("select hangs", World(load=OLD, standing=STILL, select=select_side(
        **BEHIND, selected=progress(6, GTID_OLD), extracted=progress(6), shipped=progress(6))), State.HELD_UP,
     "held up by select"),
    ("behind, not for long", World(select=select_side(**BEHIND, state=State.CATCHING_UP, words="2 s behind"), load=OLD,
     standing=Standing(still={1: ("6", NOW - 3)})), State.CATCHING_UP, "2 s behind"),
    ("no load side yet", World(load=None), State.STARTING, "no load side has reported"),
]  # fmt: skip


@pytest.mark.parametrize(("world", "state", "words"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_states_in_words(world: World, state: State, words: str) -> None:
    pipeline = view(world)
    assert pipeline.state is state
    assert words in pipeline.words


def test_a_pipeline_is_its_select_and_load_side_in_one() -> None:
    pipeline = view(World())
    assert (pipeline.mainstem, pipeline.loader) == ("n1", "n2")
    assert (pipeline.selected.number, pipeline.loaded.number, pipeline.acked.number) == (7, 7, 7)
    assert (pipeline.rows, pipeline.delay, pipeline.batches_inline) == (55, 0.1, 3)
    assert (len(pipeline.in_flight), len(pipeline.sides)) == (1, 2)


def test_the_newest_error_of_any_side_is_shown() -> None:
    world = World(
        select=select_side(last_error="old", last_error_at=1.0), load=load_side(last_error="new", last_error_at=2.0)
    )
    assert (view(world).last_error, view(world).last_error_at) == ("new", 2.0)


def test_nodes_and_zookeepers() -> None:
    status = status_of(World(alive=frozenset({2}), age=30.0).scene(), 5.0)
    assert [(node.name, node.alive, node.report) for node in status.nodes] == [("n1", False, None), ("n2", True, None)]
    assert status.zookeeper == {"zk": ""}
    assert status.at == 5.0


def test_time_is_kept_of_what_stands_still() -> None:
    """Busy source, stuck target: counted from the first look; forgotten as soon as a batch is loaded."""
    world = World(select=select_side(**BEHIND), load=OLD)
    for now in (100.0, 101.0, 112.0):
        world.standing = stand(world.scene(now))
    assert world.standing.still[1][1] == 100.0
    world.load = load_side()
    assert stand(world.scene(113.0)).still == {}


def test_a_source_that_moves_where_we_do_not_look_holds_nothing_up() -> None:
    """What is left of the source is not ours: select is at its head, and all it sent is loaded."""
    world = World(select=select_side(acked=progress(6, GTID_OLD), selected=progress(6, GTID_NEW)), load=OLD)
    assert stand(world.scene()).still == {}


def test_time_without_a_mainstem_is_kept_only_while_started() -> None:
    world = World(mainstem=0, select=None)
    world.standing = stand(world.scene(50.0))
    assert stand(world.scene(60.0)).seatless == {1: 50.0}
    world.status = ChannelStatus.STOP
    assert stand(world.scene(61.0)) == Standing()


def test_the_view_can_be_sent(world: World = World()) -> None:  # noqa: B008
    status = status_of(world.scene(), 5.0)
    assert msgspec.json.decode(msgspec.json.encode(status), type=type(status)) == status
