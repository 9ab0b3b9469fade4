"""What the sides of a pipeline report: where each stage is, with a time, and in words what holds it up."""

from __future__ import annotations

from enum import StrEnum

from otter.model.config import ChannelStatus, Model


class State(StrEnum):
    STOPPED = "stopped"
    PAUSED = "paused"
    STARTING = "starting"
    STANDBY = "standby"  # alive, another node holds the seat
    RUNNING = "running"
    CATCHING_UP = "catching up"
    HELD_UP = "held up"
    FAILED = "failed"  # stopped by an error that needs a person


class StageProgress(Model, frozen=True, kw_only=True):
    """How far a stage is: ``position`` in words (GTID or file:offset), ``number`` of the batch, ``at`` = when it last
    moved (epoch seconds, that node's clock)."""

    position: str = ""
    number: int = 0
    at: float = 0.0


class BatchView(Model, frozen=True, kw_only=True):
    """A batch on its way, for status and console."""

    number: int
    stage: str  # selected | extracted | shipped | loaded
    pipe: str
    size: int
    rows: int
    nid: int = 0  # load node it went to
    age: float = 0.0  # seconds since it was selected


class Flow(Model, frozen=True, kw_only=True):
    """What a side reports of its pipeline, and what is shown of the pipeline: how far, how fast, how late."""

    head: StageProgress = StageProgress()  # newest position of the source
    selected: StageProgress = StageProgress()
    extracted: StageProgress = StageProgress()
    shipped: StageProgress = StageProgress()
    loaded: StageProgress = StageProgress()
    acked: StageProgress = StageProgress()
    delay: float = 0.0  # seconds, of the last loaded batch
    delay_p50: float = 0.0
    delay_p99: float = 0.0
    rows: int = 0
    rows_per_second: float = 0.0  # over the last 5 s
    batches_memory: int = 0
    batches_inline: int = 0
    batches_file: int = 0
    conflicts: int = 0
    parked: int = 0
    last_error: str = ""
    last_error_at: float = 0.0
    in_flight: tuple[BatchView, ...] = ()


class SideReport(Flow, frozen=True, kw_only=True):
    """One side process of one pipeline on one node, as it sees itself. Counters only ever grow (per process life)."""

    pipeline_id: int
    side: str  # select | load
    nid: int
    pid: int
    state: State
    words: str = ""  # the state in a sentence: "held up by target: lock wait on shop.orders"
    epoch: int = 0
    transactions: int = 0
    bytes: int = 0
    rss: int = 0  # bytes
    at: float = 0.0


class NodeReport(Model, frozen=True, kw_only=True):
    """What a node tells the manager every second."""

    nid: int
    config_version: int
    version: str
    started: float
    at: float
    sides: tuple[SideReport, ...] = ()
    aria2: str = ""  # "" = healthy, else what is wrong
    htdocs_files: int = 0
    htdocs_bytes: int = 0
    download_files: int = 0
    download_bytes: int = 0
    disk_free: int = 0


class NodeView(Model, frozen=True, kw_only=True):
    """A node as the console shows it: registered, and alive (已启动) or not (未启动)."""

    name: str
    nid: int
    ip: str
    port: int
    alive: bool
    report: NodeReport | None = None


class PipelineView(Flow, frozen=True, kw_only=True):
    """A pipeline in one line: the mainstem's select side and the load side that loads, merged."""

    id: int
    name: str
    channel: str
    source: str
    target: str
    state: State
    words: str
    mainstem: str = ""  # node name, "" = nobody
    loader: str = ""  # node name of the load side that loaded last
    sides: tuple[SideReport, ...] = ()


class ChannelView(Model, frozen=True, kw_only=True):
    id: int
    name: str
    status: ChannelStatus
    pipelines: tuple[PipelineView, ...]


class ClusterStatus(Model, frozen=True, kw_only=True):
    """``GET /api/v1/status``, ``otter status --json`` and the console's live feed."""

    at: float
    nodes: tuple[NodeView, ...]
    channels: tuple[ChannelView, ...]
    zookeeper: dict[str, str]  # cluster name -> "" = connected, else what is wrong


class Check(Model, frozen=True, kw_only=True):
    """One line of ``otter doctor``: what was looked at, whether it is fine, and what to do if not."""

    subject: str  # "data source hangzhou", "node n1", ...
    name: str  # "binlog_format"
    ok: bool
    words: str
    hint: str = ""


class BatchFileView(Model, frozen=True, kw_only=True):
    """A file in a node's ``htdocs/`` or ``download/``."""

    folder: str  # htdocs | download
    name: str
    size: int
    at: float
