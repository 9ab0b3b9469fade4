"""Every znode path, spelled once.

/otter
  /node/{nid}                       ephemeral   who is alive: address, instance
  /channel/{cid}                    persistent  START | PAUSE | STOP
    /{pid}                          persistent
      /epoch                        persistent  last epoch given out; only grows
      /mainstem                     ephemeral   Mainstem{nid, epoch}: who selects
      /cursor                       persistent  hint of the last acked position (the target's mark is the truth)
      /process/{epoch}-{number}     persistent  Ticket of each batch on its way
"""

from __future__ import annotations

ROOT = "/otter"
NODES = f"{ROOT}/node"
CHANNELS = f"{ROOT}/channel"


def node(nid: int) -> str:
    return f"{NODES}/{nid}"


def channel(channel_id: int) -> str:
    return f"{CHANNELS}/{channel_id}"


def pipeline(channel_id: int, pipeline_id: int) -> str:
    return f"{CHANNELS}/{channel_id}/{pipeline_id}"


def epoch(channel_id: int, pipeline_id: int) -> str:
    return f"{pipeline(channel_id, pipeline_id)}/epoch"


def mainstem(channel_id: int, pipeline_id: int) -> str:
    return f"{pipeline(channel_id, pipeline_id)}/mainstem"


def cursor(channel_id: int, pipeline_id: int) -> str:
    return f"{pipeline(channel_id, pipeline_id)}/cursor"


def processes(channel_id: int, pipeline_id: int) -> str:
    return f"{pipeline(channel_id, pipeline_id)}/process"


def process(channel_id: int, pipeline_id: int, epoch_number: int, number: int) -> str:
    return f"{processes(channel_id, pipeline_id)}/{epoch_number:010d}-{number:010d}"
