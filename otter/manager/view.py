"""What operators see: store, ZooKeeper and reports in one ``ClusterStatus``, each pipeline's state in words. Pure.

Time is passed in; ``now`` is the monotonic clock that ``Arrived.at`` and ``Standing`` are measured by.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from otter.manager.catalog import Catalog
from otter.manager.reports import Arrived
from otter.manager.zookeepers import Picture
from otter.model.config import Channel, ChannelStatus, Pipeline
from otter.model.process import Mainstem
from otter.model.stats import ChannelView, ClusterStatus, NodeView, PipelineView, SideReport, StageProgress, State

#: Seconds without a report after which a node's words count no more (it reports once a second).
STALE = 5.0
#: Seconds without progress, or without a mainstem, after which we say that it is held up.
PATIENCE = 10.0


#: A select side that says this knows only that the others do not answer for what it sent; they may know why.
PASSED_ON = ("held up by load: batch", "held up by the link: batch")


class Standing(msgspec.Struct, frozen=True):
    """Since when something is so, by pipeline id: ``seatless`` = started and nobody selects; ``still`` = (how far the
    target is, since when) while the source is ahead of it."""

    seatless: Mapping[int, float] = {}
    still: Mapping[int, tuple[str, float]] = {}


class Scene(msgspec.Struct, frozen=True):
    """All that the view is made of, at one moment."""

    catalog: Catalog
    picture: Picture
    reports: Mapping[int, Arrived] = {}
    standing: Standing = Standing()
    now: float = 0.0

    def sides(self, pipeline: Pipeline, *, fresh: bool = True) -> list[SideReport]:
        """Reports of the pipeline's sides by nodes that are still reporting."""
        return [
            side
            for arrived in self.reports.values()
            if not fresh or self.age(arrived) <= STALE
            for side in arrived.report.sides
            if side.pipeline_id == pipeline.id
        ]

    def age(self, arrived: Arrived) -> float:
        return self.now - arrived.at

    def status(self, channel: Channel) -> ChannelStatus | None:
        """None: ZooKeeper did not say. A channel without pipelines is stopped."""
        if not channel.pipelines:
            return ChannelStatus.STOP
        return self.picture.statuses.get(channel.id)


# -- how long something is so -----------------------------------------------------------------------------------------


def stand(scene: Scene) -> Standing:
    """The next standing, from the scene's own (older) one."""
    seatless: dict[int, float] = {}
    still: dict[int, tuple[str, float]] = {}
    for channel, pipeline in scene.catalog.pipelines():
        if scene.status(channel) is not ChannelStatus.START:
            continue
        if pipeline.id not in scene.picture.mainstems:
            seatless[pipeline.id] = scene.standing.seatless.get(pipeline.id, scene.now)
        select, load = _chosen(scene, pipeline)
        loaded = _loaded(select, load)
        if select and _is_behind(select, loaded):
            far = f"{loaded.number} {loaded.position}"
            before = scene.standing.still.get(pipeline.id)
            still[pipeline.id] = before if before and before[0] == far else (far, scene.now)
    return Standing(seatless, still)


def _is_behind(select: SideReport, loaded: StageProgress) -> bool:
    """Not when what is left of the source is not ours: then select is at the head and all it sent is loaded."""
    head = select.head.position
    all_sent_is_loaded = select.selected.position == head and select.selected.number <= loaded.number
    return bool(head) and head not in (loaded.position, select.acked.position) and not all_sent_is_loaded


# -- the whole --------------------------------------------------------------------------------------------------------


def status_of(scene: Scene, at: float) -> ClusterStatus:
    """``at``: seconds since the epoch by our clock."""
    return ClusterStatus(
        at=at,
        nodes=tuple(_node_views(scene)),
        channels=tuple(channel_view(scene, channel) for channel in scene.catalog.channels.values()),
        zookeeper={name: scene.picture.words.get(name, "not read yet") for name in scene.catalog.zookeepers},
    )


def _node_views(scene: Scene) -> Iterable[NodeView]:
    for node in scene.catalog.nodes.values():
        arrived = scene.reports.get(node.nid)
        fresh = arrived is not None and scene.age(arrived) <= STALE
        yield NodeView(
            name=node.name,
            nid=node.nid,
            ip=node.ip,
            port=node.port,
            alive=node.nid in scene.picture.alive,
            report=arrived.report if arrived and fresh else None,
        )


def channel_view(scene: Scene, channel: Channel) -> ChannelView:
    return ChannelView(
        id=channel.id,
        name=channel.name,
        status=scene.status(channel) or ChannelStatus.STOP,
        pipelines=tuple(_pipeline_view(scene, channel, pipeline) for pipeline in channel.pipelines),
    )


def _pipeline_view(scene: Scene, channel: Channel, pipeline: Pipeline) -> PipelineView:
    select, load = _chosen(scene, pipeline)
    state, words = _state(scene, channel, pipeline)
    shown = {} if select is None else {
        name: getattr(select, name)
        for name in ("head", "selected", "extracted", "shipped", "acked", "batches_memory", "batches_inline",
                     "batches_file", "in_flight")
    }  # fmt: skip
    sides = scene.sides(pipeline)
    if counted := load or select:
        shown |= {name: getattr(counted, name) for name in ("delay", "delay_p50", "delay_p99")}
    loads = [side for side in sides if side.side == "load"] or [side for side in (select,) if side]
    for name in ("rows", "rows_per_second", "conflicts"):  # several load sides share the batches
        shown[name] = sum(getattr(side, name) for side in loads)
    shown["parked"] = max((side.parked for side in loads), default=0)  # all of them look at one table
    failed = max(sides, key=lambda side: side.last_error_at, default=None)
    mainstem = scene.picture.mainstems.get(pipeline.id)
    return PipelineView(
        id=pipeline.id,
        name=pipeline.name,
        channel=channel.name,
        source=pipeline.source,
        target=pipeline.target,
        state=state,
        words=words,
        mainstem=_name(scene.catalog, mainstem.nid) if mainstem else "",
        loader=_name(scene.catalog, load.nid) if load else "",
        loaded=_loaded(select, load),
        last_error=failed.last_error if failed else "",
        last_error_at=failed.last_error_at if failed else 0.0,
        sides=tuple(sides),
        **shown,
    )


def _chosen(scene: Scene, pipeline: Pipeline) -> tuple[SideReport | None, SideReport | None]:
    """The select side of the mainstem and the load side that loaded last."""
    mainstem = scene.picture.mainstems.get(pipeline.id, Mainstem(0, 0))
    sides = scene.sides(pipeline)
    select = next((side for side in sides if side.side == "select" and side.nid == mainstem.nid), None)
    loads = [side for side in sides if side.side == "load"]
    return select, max(loads, key=lambda side: (side.loaded.at, side.loaded.number), default=None)


def _loaded(select: SideReport | None, load: SideReport | None) -> StageProgress:
    """How far the target is: the load side knows first, the select side by the termin."""
    known = [side.loaded for side in (load, select) if side is not None]
    return max(known, key=lambda progress: (progress.number, progress.at), default=StageProgress())


def _name(catalog: Catalog, nid: int) -> str:
    return next((node.name for node in catalog.nodes.values() if node.nid == nid), f"nid {nid}")


# -- the state in words -----------------------------------------------------------------------------------------------


def _state(scene: Scene, channel: Channel, pipeline: Pipeline) -> tuple[State, str]:
    """The first of these that is so: switched off, somebody missing, somebody says so, nothing moves, fine."""
    return (
        _off(scene, channel)
        or _nobody_there(scene, pipeline)
        or _said(scene, pipeline, State.FAILED)
        or _no_mainstem(scene, pipeline)
        or _silent(scene, pipeline)
        or _said(scene, pipeline, State.HELD_UP)
        or _nothing_moves(scene, pipeline)
        or _moving(scene, pipeline)
    )


def _off(scene: Scene, channel: Channel) -> tuple[State, str] | None:
    cluster = scene.catalog.zookeeper_of(channel)
    if words := scene.picture.words.get(cluster, ""):
        return State.HELD_UP, f"unknown: ZooKeeper cluster {cluster}: {words}; nodes may still be copying"
    status = scene.status(channel) or ChannelStatus.STOP
    if status is ChannelStatus.START:
        return None
    return (State.PAUSED, "paused") if status is ChannelStatus.PAUSE else (State.STOPPED, "stopped")


def _nobody_there(scene: Scene, pipeline: Pipeline) -> tuple[State, str] | None:
    for role, names in (("select", pipeline.select_nodes), ("load", pipeline.load_nodes)):
        if not _alive(scene, names):
            dead = ", ".join(f"{name} 未启动" for name in names)
            return State.HELD_UP, f"held up: no {role} node alive ({dead})"
    return None


def _alive(scene: Scene, names: Iterable[str]) -> list[str]:
    return [name for name in names if scene.catalog.nodes[name].nid in scene.picture.alive]


def _said(scene: Scene, pipeline: Pipeline, state: State) -> tuple[State, str] | None:
    """What a side that counts says of itself: whoever is nearest to the cause, else the select side first."""
    mainstem = scene.picture.mainstems.get(pipeline.id)
    sides = [
        side
        for side in scene.sides(pipeline)
        if side.state is state and (side.side == "load" or mainstem is None or side.nid == mainstem.nid)
    ]
    sides.sort(key=lambda side: (side.words.startswith(PASSED_ON), side.side != "select"))
    for side in sides:
        says = side.words or side.last_error or str(state)
        return state, says if side.side in says else f"{says} ({side.side} side on {_name(scene.catalog, side.nid)})"
    return None


def _no_mainstem(scene: Scene, pipeline: Pipeline) -> tuple[State, str] | None:
    if pipeline.id in scene.picture.mainstems:
        return None
    alive = ", ".join(_alive(scene, pipeline.select_nodes))
    seconds = scene.now - scene.standing.seatless.get(pipeline.id, scene.now)
    if seconds < PATIENCE:
        return State.STARTING, f"starting: no mainstem yet ({alive} alive)"
    select = next((side for side in scene.sides(pipeline) if side.side == "select" and side.words), None)
    why = f": {select.words}" if select else ""
    return State.HELD_UP, f"held up by select: no mainstem for {seconds:.0f} s ({alive} alive, none took the seat){why}"


def _silent(scene: Scene, pipeline: Pipeline) -> tuple[State, str] | None:
    """The mainstem's node has not reported: nothing is known of the pipeline."""
    nid = scene.picture.mainstems[pipeline.id].nid
    name, arrived = _name(scene.catalog, nid), scene.reports.get(nid)
    if arrived is None:
        return State.STARTING, f"starting: {name} has not reported to this manager yet"
    age = scene.age(arrived)
    if age > STALE:
        return State.HELD_UP, f"unknown: {name} holds the mainstem and has not reported for {age:.0f} s"
    return None


def _nothing_moves(scene: Scene, pipeline: Pipeline) -> tuple[State, str] | None:
    _, since = scene.standing.still.get(pipeline.id, ("", scene.now))
    if scene.now - since < PATIENCE:
        return None
    select, load = _chosen(scene, pipeline)
    stage = _stage(select, load)
    side = load if stage == "load" else select
    why = f": {side.words}" if side and side.words else ""
    return (
        State.HELD_UP,
        f"held up by {stage}: nothing loaded for {scene.now - since:.0f} s while the source moves{why}",
    )


def _stage(select: SideReport | None, load: SideReport | None) -> str:
    """The first stage that has not passed on what the one before it has."""
    if select is None:
        return "select"
    numbers = (select.selected.number, select.extracted.number, select.shipped.number, _loaded(select, load).number)
    for stage, before, after in zip(("extract", "ship", "load"), numbers, numbers[1:], strict=False):
        if before > after:
            return stage
    return "select"


def _moving(scene: Scene, pipeline: Pipeline) -> tuple[State, str]:
    select, load = _chosen(scene, pipeline)
    if select is None:
        return State.STARTING, "starting: the select side has not reported yet"
    if load is None:
        return State.STARTING, "starting: no load side has reported yet"
    state = select.state if select.state in (State.RUNNING, State.CATCHING_UP, State.STARTING) else State.RUNNING
    parked = max(side.parked for side in scene.sides(pipeline))
    return state, (select.words or str(state)) + (f", parked rows: {parked}" if parked else "")
