"""The demo's picture in the terminal: where to look, what the shop writes, and where every stage is."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bench.demo.workload import Written
from otter.cli import screen, view
from otter.model.stats import ClusterStatus, PipelineView

WORDS = {
    "head": "newest change in the source's binlog",
    "selected": "read and cut into a batch",
    "extracted": "mapped tables kept, packed",
    "shipped": "handed over to the load node",
    "loaded": "committed on the target",
    "acked": "select knows, the file may go",
}


@dataclass
class Rates:
    """Differences between two looks."""

    at: float = 0.0
    transactions: int = 0
    per_second: float = 0.0

    def look(self, now: float, transactions: int) -> None:
        if self.at and now > self.at:
            self.per_second = (transactions - self.transactions) / (now - self.at)
        self.at, self.transactions = now, transactions


def percentiles(each: PipelineView) -> str:
    return f"p50 {view.seconds(each.delay_p50)}, p99 {view.seconds(each.delay_p99)}"


@dataclass
class Picture:
    """One frame after the other; ``login`` is the console's address and admin's password."""

    login: tuple[str, str]
    written: Written
    rates: Rates = field(default_factory=Rates)

    def frame(self, status: ClusterStatus | None, words: str) -> RenderableType:
        """``status`` is None (and ``words`` says why) while the manager does not answer."""
        self.rates.look(time.monotonic(), self.written.transactions)
        if status is None:
            return Group(self._head(), Text(words, style="yellow"))
        panels = [_pipeline(each, status.at) for channel in status.channels for each in channel.pipelines]
        foot = Text("Ctrl-C stops everything and leaves nothing behind", style="dim")
        return Group(self._head(), *panels, view.nodes(status.nodes, status.at), foot)

    def _head(self) -> Panel:
        url, password = self.login
        text = Text.assemble(
            "console  ", (url, "bold"), "   user ", ("admin", "bold"), "   password ", (password, "bold"),
            f"\nshop     {self.written.transactions:,} transactions committed in hangzhou"
            f" ({self.rates.per_second:,.0f}/s), {self.written.big} of them over 5 MB",
        )  # fmt: skip
        return Panel(text, title="Otter demo: hangzhou → us-west", border_style="cyan")


def _brought(each: PipelineView) -> str:
    """A load side on the select side's own node reads a file where it lies."""
    return "read in place" if each.loader == each.mainstem else "pulled by aria2"


def _pipeline(each: PipelineView, now: float) -> Panel:
    stages = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name in view.STAGES:
        progress = getattr(each, name)
        number = f"#{progress.number}" if progress.number else ""
        stages.add_row(
            Text(name, style="bold"),
            number,
            Text(progress.position),
            view.ago(progress.at, now),
            Text(WORDS[name], style="dim"),
        )
    figures = Text.assemble(
        (screen.state(each.state, each.words), view.COLOURS.get(each.state, "")), "\n",
        (f"{each.rows_per_second:,.0f} rows/s", "bold"), f" ({each.rows:,} so far)   delay ",
        (view.seconds(each.delay), "bold"), f" ({percentiles(each)})\n",
        f"batches: {each.batches_memory} by memory, {each.batches_inline} inline, ",
        (f"{each.batches_file} files {_brought(each)}", "bold"),
        f"   on their way: {len(each.in_flight)}\n"
        f"mainstem {each.mainstem or 'nobody'}, loads on {each.loader or 'nobody'}",
    )  # fmt: skip
    parts: list[RenderableType] = [figures, stages]
    if each.last_error:
        parts.append(Text(f"last error ({view.ago(each.last_error_at, now)}): {each.last_error}", style="red"))
    return Panel(
        Group(*parts), title=f"{each.channel} / {each.name}: {each.source} → {each.target}", title_align="left"
    )
