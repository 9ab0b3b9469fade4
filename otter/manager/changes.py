"""The difference of two catalogs in words: for the plan of ``otter apply`` and for the log of who changed what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from otter.manager.catalog import Catalog, Kind
from otter.model.config import Channel, Model, Pair, Pipeline


class Action(Model, frozen=True, kw_only=True):
    """``action`` is create, change, keep or delete; ``fields`` are paths of what differs (never values)."""

    action: str
    kind: str  # zookeeper | node | data-source | table | channel | pipeline
    name: str
    fields: tuple[str, ...] = ()


def changes(old: Catalog, new: Catalog) -> Iterator[Action]:
    """Actions that make ``new`` of ``old``, kept objects left out."""
    for kind in Kind:
        for name in dict.fromkeys([*old.of(kind), *new.of(kind)]):
            yield from compare(kind, name, old.of(kind).get(name), new.of(kind).get(name), keep=False)


def compare(kind: Kind, name: str, old: Any, new: Any, *, keep: bool = True) -> Iterator[Action]:
    """The actions of one object (of a channel: also those of its pipelines)."""
    yield from _action(kind.word, name, old, new, keep=keep)
    if kind is Kind.CHANNEL:
        before, after = _pipelines(old), _pipelines(new)
        for pipeline in dict.fromkeys([*before, *after]):
            yield from _action("pipeline", f"{name}/{pipeline}", before.get(pipeline), after.get(pipeline), keep=keep)


def _pipelines(channel: Channel | None) -> Mapping[str, Pipeline]:
    return {pipeline.name: pipeline for pipeline in channel.pipelines} if channel else {}


def _action(kind: str, name: str, old: Any, new: Any, *, keep: bool) -> Iterator[Action]:
    if old is None or new is None:
        yield Action(action="create" if old is None else "delete", kind=kind, name=name)
        return
    fields = tuple(_differing(old, new))
    if fields or keep:
        yield Action(action="change" if fields else "keep", kind=kind, name=name, fields=fields)


def _differing(old: Any, new: Any, prefix: str = "") -> Iterator[str]:
    for field in msgspec.structs.fields(new):
        one, other = getattr(old, field.name), getattr(new, field.name)
        path = prefix + field.encode_name
        if one == other or field.name == "pipelines":  # pipelines have actions of their own
            continue
        if isinstance(other, Model):
            yield from _differing(one, other, f"{path}.")
        elif field.name == "pairs":
            yield from _pairs(one, other)
        else:
            yield path


def _pairs(old: tuple[Pair, ...], new: tuple[Pair, ...]) -> Iterator[str]:
    before, after = {pair.source: pair for pair in old}, {pair.source: pair for pair in new}
    differing = [
        f"pairs[{source}]" for source in dict.fromkeys([*before, *after]) if before.get(source) != after.get(source)
    ]
    yield from differing or ["pairs"]
