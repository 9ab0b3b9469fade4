"""A :class:`~otter.model.stats.ClusterStatus` as a person reads it in a terminal (rich)."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from otter.cli import screen
from otter.model.stats import ChannelView, ClusterStatus, NodeView, PipelineView, StageProgress, State

STAGES = ("head", "selected", "extracted", "shipped", "loaded", "acked")
COLOURS = {
    State.RUNNING: "green",
    State.CATCHING_UP: "cyan",
    State.STARTING: "cyan",
    State.FAILED: "bold red",
    State.HELD_UP: "bold yellow",
}


def cluster(status: ClusterStatus) -> RenderableType:
    """Everything: channels with their pipelines, nodes, ZooKeeper clusters in trouble."""
    parts: list[RenderableType] = [channel(view, status.at) for view in status.channels]
    if not parts:
        parts.append(Text("no channels yet: `otter apply -f FILE` makes one", style="dim"))
    parts.append(nodes(status.nodes, status.at))
    parts += [Text(f"ZooKeeper {name}: {wrong}", style="bold red") for name, wrong in status.zookeeper.items() if wrong]
    return Group(*parts)


def channel(view: ChannelView, now: float) -> RenderableType:
    title = Text.assemble(("channel ", "dim"), (view.name, "bold"), f"  {view.status.value}")
    return Group(title, *(pipeline(each, now) for each in view.pipelines), Text())


def pipeline(view: PipelineView, now: float) -> RenderableType:
    """A title line, one line per stage, and the last error."""
    title = Text.assemble(
        ("  pipeline ", "dim"), (view.name, "bold"), f"  {view.source} → {view.target}  ",
        (screen.state(view.state, view.words), COLOURS.get(view.state, "")),
    )  # fmt: skip
    figures = Text(
        f"    delay {seconds(view.delay)} (p50 {seconds(view.delay_p50)}, p99 {seconds(view.delay_p99)})"
        f" · {view.rows_per_second:,.0f} rows/s · {view.rows:,} rows · batches: memory {view.batches_memory},"
        f" inline {view.batches_inline}, file {view.batches_file} · mainstem {view.mainstem or 'nobody'}"
        f" · loads on {view.loader or 'nobody'}"
    )
    troubles = f"    conflicts {view.conflicts} · parked {view.parked}" if view.conflicts or view.parked else ""
    parts: list[RenderableType] = [title, figures, stages(view, now)]
    if troubles:
        parts.append(Text(troubles, style="yellow"))
    if view.last_error:
        parts.append(Text(f"    last error ({ago(view.last_error_at, now)}): {view.last_error}", style="red"))
    return Group(*parts)


def stages(view: PipelineView, now: float) -> Table:
    made = Table(box=None, pad_edge=True, show_header=False, padding=(0, 1, 0, 3))
    for name in STAGES:
        progress: StageProgress = getattr(view, name)
        made.add_row(Text(name), f"#{progress.number}" if progress.number else "", Text(progress.position),
                     ago(progress.at, now))  # fmt: skip
    return made


def nodes(views: tuple[NodeView, ...], now: float) -> Table:
    made = Table("node", "nid", "address", "", "sides", "htdocs", "disk free", "seen", box=None, header_style="dim")
    for view in views:
        report = view.report
        alive = Text("已启动 alive", style="green") if view.alive else Text("未启动 not alive", style="red")
        row: list[RenderableType] = [Text(view.name), str(view.nid), f"{view.ip}:{view.port}", alive]
        if report:
            seen = Text(report.aria2, style="red") if report.aria2 else ago(report.at, now)
            files = f"{report.htdocs_files} files, {size(report.htdocs_bytes)}"
            row += [str(len(report.sides)), files, size(report.disk_free), seen]
        made.add_row(*row)
    return made


def seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def ago(at: float, now: float) -> str:
    """``3.2 s ago``; the date when that is more than an hour."""
    if not at:
        return ""
    gap = max(0.0, now - at)
    return f"{seconds(gap)} ago" if gap < 3600 else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def size(count: float) -> str:
    """Bytes in words: ``1.5 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
