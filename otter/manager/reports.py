"""The last report of each node, in memory, with the time it came in by our clock."""

from __future__ import annotations

import time

import msgspec

from otter.model.stats import NodeReport


class Arrived(msgspec.Struct, frozen=True):
    """A report and when it came: ``at`` on our monotonic clock, ``offset`` = node's clock minus ours (s)."""

    report: NodeReport
    at: float
    offset: float = 0.0


class Reports:
    def __init__(self) -> None:
        self.last: dict[int, Arrived] = {}

    def take(self, report: NodeReport) -> None:
        self.last[report.nid] = Arrived(report, time.monotonic(), report.at - time.time())
