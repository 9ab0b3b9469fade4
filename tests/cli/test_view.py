from __future__ import annotations

from rich.console import Console, RenderableType

from bench.demo.view import Picture
from bench.demo.workload import Written
from otter.cli import view
from otter.model.config import ChannelStatus
from otter.model.stats import (
    ChannelView,
    ClusterStatus,
    NodeReport,
    NodeView,
    PipelineView,
    SideReport,
    StageProgress,
    State,
)

NOW = 1_800_000_000.0
SIDE = SideReport(pipeline_id=1, side="select", nid=1, pid=9, state=State.RUNNING)
REPORT = NodeReport(
    nid=1, config_version=3, version="0.1.0", started=NOW - 60, at=NOW - 1, sides=(SIDE,), disk_free=5 << 30
)
PIPELINE = PipelineView(
    id=1, name="hz-us", channel="shop", source="hangzhou", target="us-west", state=State.HELD_UP,
    words="held up by target: lock wait on shop.orders", mainstem="n1", loader="n2", delay=0.25, rows_per_second=1234.5,
    head=StageProgress(position="0-1-99", number=0, at=NOW - 2),
    loaded=StageProgress(position="0-1-90", number=7, at=NOW),
    last_error="[bold]1205[/bold] Lock wait", last_error_at=NOW - 9000, batches_file=3, parked=2,
)  # fmt: skip
STATUS = ClusterStatus(
    at=NOW,
    nodes=(
        NodeView(name="n1", nid=1, ip="127.0.0.1", port=2088, alive=True, report=REPORT),
        NodeView(name="n2", nid=2, ip="127.0.0.1", port=2089, alive=False),
    ),
    channels=(ChannelView(id=1, name="shop", status=ChannelStatus.START, pipelines=(PIPELINE,)),),
    zookeeper={"zk": "", "zk2": "no answer from 10.0.0.1:2181"},
)


def shown(drawn: RenderableType, width: int = 200) -> str:
    console = Console(width=width, force_terminal=False)
    with console.capture() as captured:
        console.print(drawn)
    return captured.get()


def test_status_says_what_an_operator_asks() -> None:
    text = shown(view.cluster(STATUS))
    for words in (
        "hangzhou → us-west", "held up by target: lock wait on shop.orders", "delay 250 ms", "1,234 rows/s",
        "mainstem n1", "loads on n2", "file 3", "parked 2", "0-1-99", "#7", "已启动", "未启动", "5.0 GiB",
        "ZooKeeper zk2: no answer from 10.0.0.1:2181", "2027-01-15", "[bold]1205[/bold] Lock wait",
    ):  # fmt: skip
        assert words in text


def test_the_demo_shows_the_same_and_the_login() -> None:
    picture = Picture(("http://127.0.0.1:8080", "pass-word"), Written(12, 3))
    text = shown(picture.frame(STATUS, ""), 120)
    for words in (
        "http://127.0.0.1:8080",
        "pass-word",
        "12 transactions",
        "3 files pulled by aria2",
        "1,234 rows/s",
        "0-1-90",
    ):
        assert words in text
    assert "no answer" in shown(picture.frame(None, "no answer"))


def test_an_empty_cluster_says_what_to_do() -> None:
    assert "otter apply" in shown(view.cluster(ClusterStatus(at=NOW, nodes=(), channels=(), zookeeper={})))


def test_sizes_and_times() -> None:
    assert [view.size(n) for n in (0, 1023, 1536, 5 << 40)] == ["0 B", "1023 B", "1.5 KiB", "5.0 TiB"]
    assert [view.seconds(s) for s in (0, 0.0123, 1.26)] == ["0 ms", "12 ms", "1.3 s"]
    assert view.ago(0, NOW) == ""
    assert view.ago(NOW + 5, NOW) == "0 ms ago"
