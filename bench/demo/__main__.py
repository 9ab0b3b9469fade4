"""``bin/demo``: live until Ctrl-C; ``bin/demo --once``: ends by itself and says whether every row arrived."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from contextlib import nullcontext

import msgspec
import pymysql
from rich.console import Console, RenderableType
from rich.live import Live

from bench.demo import shop, view
from bench.demo.compare import Comparison, compare
from bench.demo.workload import Shop
from bench.demo.world import World, seconds_since
from bench.processes import Ended
from otter.cli.api import Api, connect
from otter.errors import OtterError
from otter.model.stats import ClusterStatus, PipelineView

CHANNELS = ("shop", "shop-report")


def main() -> int:
    arguments = _arguments()
    for sig in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, _interrupt)
    try:
        with World(_say) as world:
            return once(world, arguments.seconds) if arguments.once else live(world)
    except KeyboardInterrupt:
        _say("stopped, nothing is left behind")
        return 0 if not arguments.once else 130
    except (Ended, TimeoutError, RuntimeError, subprocess.SubprocessError, pymysql.MySQLError, OtterError) as error:
        _say(f"demo: {error}")
        return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("bin/demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="no live view: write, wait, compare, and end")
    parser.add_argument("--seconds", type=float, default=20, help="with --once: how long the shop writes (20)")
    return parser.parse_args()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def live(world: World) -> int:
    """Draws until Ctrl-C (which main turns into an orderly end). Without a terminal: a picture every five seconds."""
    _say(f"console {world.url}, user admin, password {world.password}; Ctrl-C stops everything")
    work = Shop(world.hangzhou.connect)
    work.start()
    api = connect(world.url, world.folder / "manager")
    picture = view.Picture((world.url, world.password), work.written)
    console = Console()
    try:
        with Live(console=console, auto_refresh=False, screen=True) if console.is_terminal else nullcontext() as screen:
            while work.failure is None:
                frame = _frame(api, picture)
                if screen:
                    screen.update(frame, refresh=True)
                else:
                    console.print(frame)
                time.sleep(0.5 if screen else 5.0)
    finally:
        _say("\nstopping ...")
        work.stop()
    return 1


def _frame(api: Api, picture: view.Picture) -> RenderableType:
    try:
        return picture.frame(api.get("/api/v1/status", ClusterStatus, timeout=5), "")
    except OtterError as error:
        return picture.frame(None, str(error))


def once(world: World, seconds: float) -> int:
    """Writes for ``seconds``, waits, compares; 0 only if all is equal and each way was really used."""
    work = Shop(world.hangzhou.connect)
    _say(f"the shop writes for {seconds:g} s (console {world.url}, user admin, password {world.password}) ...")
    work.start()
    time.sleep(seconds)
    work.stop()
    _say(f"it committed {work.written.transactions:,} transactions, {work.written.big} of them over 5 MB; waiting ...")
    begin = time.monotonic()
    for channel in CHANNELS:
        world.otter("wait", channel, "--timeout", "120")
    _say(f"caught up {seconds_since(begin)} after the last commit; comparing every row ...")
    status = msgspec.json.decode(world.otter("status", "--json"), type=ClusterStatus)
    pipelines = [pipeline for channel in status.channels for pipeline in channel.pipelines]
    equal = _compare(world)
    used = _ways(pipelines)
    for pipeline in pipelines:
        counts = f"{pipeline.rows:,} rows, conflicts {pipeline.conflicts}, parked {pipeline.parked}"
        print(f"{pipeline.name}: {counts}, delay {view.percentiles(pipeline)}")
    print("all tables are equal" if equal else "NOT ALL TABLES ARE EQUAL")
    return 0 if equal and used else 1


def _compare(world: World) -> bool:
    found: list[Comparison] = []
    with world.hangzhou.connect() as hangzhou, world.hangzhou.connect() as again, world.us_west.connect() as us_west:
        for table in shop.TABLES:
            found.append(compare(hangzhou, f"shop.{table}", us_west, f"shop.{table}"))
            print(found[-1].line(), flush=True)
        found.append(compare(hangzhou, "shop.orders", again, "shop_report.orders"))
        print(found[-1].line(), flush=True)
    return all(comparison.equal and comparison.source.rows for comparison in found)


def _ways(pipelines: list[PipelineView]) -> bool:
    counts = {
        "by memory": sum(pipeline.batches_memory for pipeline in pipelines),
        "inline": sum(pipeline.batches_inline for pipeline in pipelines),
        "by aria2 file": sum(pipeline.batches_file for pipeline in pipelines),
    }
    print("batches: " + ", ".join(f"{count:,} {way}" for way, count in counts.items()))
    unused = [way for way, count in counts.items() if not count]
    if unused:
        print(f"NOT USED: {', '.join(unused)}")
    return not unused


if __name__ == "__main__":
    sys.exit(main())
