"""Replication objects as the manager stores them, the API speaks them and a YAML file describes them.

Words only: frozen structs, no I/O. Objects refer to each other by name; numbers (``id``, ``nid``) are given by the
manager and go into znodes and marks. JSON and YAML use Otter's own camelCase names.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[\w][\w .@-]*$")]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Model(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Base of every object at the border: unknown fields are errors, fields are camelCase outside."""


class ZooKeeperCluster(Model, frozen=True, kw_only=True):
    """An ensemble: ``servers`` are ``host:port`` strings."""

    name: Name
    servers: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    description: str = ""


class Node(Model, frozen=True, kw_only=True):
    """A worker. ``nid`` (序号) is what goes into its ``conf/nid``; 0 = the manager gives the next free one."""

    name: Name
    nid: Annotated[int, msgspec.Meta(ge=0)] = 0
    ip: str
    port: Port = 2088
    download_port: Port = 9090
    external_ip: str = ""
    use_external_ip: bool = False
    zookeeper: Name
    description: str = ""


class DataSource(Model, frozen=True, kw_only=True):
    """A MySQL or MariaDB server. ``password`` is clear text only in memory; at rest it is ``enc:...``."""

    name: Name
    host: str
    port: Port = 3306
    username: str
    password: str = ""
    encoding: str = "utf8mb4"
    description: str = ""

    def __repr__(self) -> str:
        return f"DataSource({self.name!r}, {self.username}@{self.host}:{self.port})"


class Table(Model, frozen=True, kw_only=True):
    """A table of a data source (Otter's data media), addressed as ``source/schema.name``."""

    source: Name
    schema: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    description: str = ""

    @property
    def address(self) -> str:
        return f"{self.source}/{self.schema}.{self.name}"


class Pair(Model, frozen=True, kw_only=True):
    """A mapping pair: ``schema.table`` of the pipeline's source to ``schema.table`` of its target (default: same)."""

    source: Annotated[str, msgspec.Meta(pattern=r"^[^.]+\.[^.]+$")]
    target: str = ""
    push_weight: int = 5

    @property
    def target_name(self) -> str:
        return self.target or self.source


class LbAlgorithm(StrEnum):
    STICK = "Stick"
    ROUND_ROBIN = "RoundRbin"  # Otter's spelling, kept at the border
    RANDOM = "Random"


class PipeChooseType(StrEnum):
    AUTOMATIC = "AUTOMATIC"  # same node: memory; up to inlineLimit: inline; else file
    MEMORY = "MEMORY"
    RPC = "RPC"  # inline, whatever the size up to the payload limit
    HTTP = "HTTP"  # always a batch file


class OnRowError(StrEnum):
    PARK = "PARK"  # D9: the row and later rows of its key wait in retl.otter_parked
    STOP = "STOP"  # the pipeline stops and says why


class ConflictPolicy(StrEnum):
    """What wins when the target's row is not what the source changed: the source (default), or stop and ask."""

    SOURCE = "SOURCE"
    STOP = "STOP"


class PipelineParameters(Model, frozen=True, kw_only=True):
    """Otter's pipeline parameters that still make sense, under its names; ours after the blank line."""

    parallelism: Annotated[int, msgspec.Meta(ge=1, le=64)] = 5
    lb_algorithm: LbAlgorithm = LbAlgorithm.STICK
    pipe_choose_type: PipeChooseType = PipeChooseType.AUTOMATIC
    mainstem_batchsize: Annotated[int, msgspec.Meta(ge=64, le=32768)] = 6000  # KiB of row images in a batch
    load_batchsize: Annotated[int, msgspec.Meta(ge=1, le=5000)] = 200  # rows in a statement
    use_external_ip: bool = False

    inline_limit: Annotated[int, msgspec.Meta(ge=0, le=1024)] = 128  # KiB of packed batch that may ride in a push
    on_row_error: OnRowError = OnRowError.PARK
    conflict_policy: ConflictPolicy = ConflictPolicy.SOURCE
    download_split: Annotated[int, msgspec.Meta(ge=1, le=16)] = 4  # connections of aria2 for one file


#: Otter's parameters that we no longer have, and what to do instead. An unknown name in this table gets the advice.
REMOVED_PARAMETERS: dict[str, str] = {
    "lbPercent": "use lbAlgorithm",
    "selectorMode": "there is one selector, the binlog; remove it",
    "destinationName": "name the data source in the pipeline's `source`; there is no canal",
    "mainstemClientId": "not needed any more; remove it",
    "batchTimeout": "a batch closes when the pipe is free, not on a timer; remove it",
    "extractPoolSize": "extract needs no pool; remove it",
    "loadPoolSize": "load sends multi-row statements; see loadBatchsize",
    "fileLoadPoolSize": "files are not replicated; remove it",
    "useBatch": "load always batches and falls back to single rows by itself; remove it",
    "arbitrateMode": "there is one arbiter; remove it",
    "dumpEvent": "use `otter inspect` and the console's file view",
    "dumpSelector": "use `otter inspect` and the console's file view",
    "dumpSelectorDetail": "use `otter inspect` and the console's file view",
    "skipSelectException": "an unreadable event stops the pipeline by name; nothing is skipped",
    "skipLoadException": "use onRowError: PARK, which loses nothing",
    "useTableTransform": "types always come from the tables; remove it",
    "useFileEncrypt": "comes with TLS; until then use a private link",
    "fileDetect": "files are not replicated; remove it",
    "useLocalFileMutliThread": "files are not replicated; remove it",
    "channelInfo": "loops are stopped by retl.otter_mark; remove it",
}


class StartFrom(Model, frozen=True, kw_only=True):
    """Where a pipeline that has never run begins: one of ``now``, a GTID position, file and offset, or a time."""

    gtid: str = ""
    file: str = ""
    offset: int = 4
    time: str = ""  # ISO 8601, e.g. 2026-11-23T08:00:00+08:00

    @property
    def kind(self) -> str:
        return "gtid" if self.gtid else "file" if self.file else "time" if self.time else "now"


class Pipeline(Model, frozen=True, kw_only=True):
    """One direction of a channel. ``id`` is given by the manager."""

    name: Name
    id: int = 0
    source: Name  # data source
    target: Name  # data source
    select_nodes: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    load_nodes: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    pairs: tuple[Pair, ...] = ()
    start: StartFrom = StartFrom()
    parameters: PipelineParameters = PipelineParameters()
    description: str = ""


class ChannelStatus(StrEnum):
    START = "START"
    PAUSE = "PAUSE"
    STOP = "STOP"


class Channel(Model, frozen=True, kw_only=True):
    """One sync relation: one pipeline (one way) or two (both ways). Its status lives in ZooKeeper, not here."""

    name: Name
    id: int = 0
    pipelines: Annotated[tuple[Pipeline, ...], msgspec.Meta(max_length=2)] = ()
    description: str = ""


class Document(Model, frozen=True, kw_only=True):
    """The one YAML file of ``otter apply`` and ``otter export``: every kind of object, each list optional."""

    zookeepers: tuple[ZooKeeperCluster, ...] = ()
    nodes: tuple[Node, ...] = ()
    data_sources: tuple[DataSource, ...] = ()
    tables: tuple[Table, ...] = ()
    channels: tuple[Channel, ...] = ()


class PipelineTask(Model, frozen=True, kw_only=True):
    """A pipeline as a node gets it: references resolved, passwords still ``enc:...``."""

    id: int
    name: str
    channel_id: int
    channel: str
    source: DataSource
    target: DataSource
    select_nids: tuple[int, ...]
    load_nids: tuple[int, ...]
    pairs: tuple[Pair, ...]
    start: StartFrom
    parameters: PipelineParameters
    opposite_id: int = 0  # the other pipeline of a two-way channel, 0 = none


class NodeConfig(Model, frozen=True, kw_only=True):
    """Everything node ``nid`` needs, cached on its disk. ``version`` grows with every change in the manager's store."""

    version: int
    node: Node
    zookeeper_servers: tuple[str, ...]
    nodes: tuple[Node, ...]
    pipelines: tuple[PipelineTask, ...]
