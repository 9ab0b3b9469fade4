"""Objects by name: list, create, read, change, delete; pipelines and pairs inside their channel."""

from __future__ import annotations

from typing import cast

import msgspec

from otter.manager import catalog as c
from otter.manager import commands
from otter.manager.api.route import Call, Route
from otter.manager.catalog import TYPES, Catalog, Item, Kind, key_of
from otter.manager.passwords import hidden
from otter.manager.store.store import Edit
from otter.model.config import Channel, DataSource, Pair, Pipeline


def _shown(item: Item) -> Item:
    return hidden(item) if isinstance(item, DataSource) else item


class _Objects:
    """The handlers of one kind."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    async def list_(self, call: Call) -> list[Item]:
        return [_shown(item) for item in (await call.desk.catalog()).of(self._kind).values()]

    async def get(self, call: Call) -> Item:
        return _shown((await call.desk.catalog()).get(self._kind, call.params["name"]))

    async def create(self, call: Call) -> Item:
        def edit(catalog: Catalog) -> Catalog:
            return c.create(catalog, self._sealed(call, None))

        return self._result(call, await call.desk.edit(call.who.user, edit))

    async def replace(self, call: Call) -> Item:
        name = call.params["name"]

        def edit(catalog: Catalog) -> Catalog:
            return c.replace(catalog, name, self._sealed(call, catalog.get(self._kind, name)))

        return self._result(call, await call.desk.edit(call.who.user, edit))

    async def delete(self, call: Call) -> None:
        name = call.params["name"]
        catalog = await call.desk.catalog()
        item = catalog.get(self._kind, name)
        if isinstance(item, Channel):
            await commands.refuse_unless_stopped(call.desk, catalog, item, f"channel {name!r}")
        await call.desk.edit(call.who.user, lambda catalog: c.remove(catalog, self._kind, name))
        if isinstance(item, Channel) and item.pipelines:
            await commands.forget(call.desk, catalog, item)

    def _sealed(self, call: Call, old: Item | None) -> Item:
        item: Item = call.body
        if isinstance(item, DataSource):
            return call.desk.vault.sealed(item, cast("DataSource | None", old))
        return item

    def _result(self, call: Call, catalog: Catalog) -> Item:
        return _shown(catalog.get(self._kind, key_of(call.body)))

    def routes(self) -> tuple[Route, ...]:
        kind, type_ = self._kind, TYPES[self._kind]
        all_ = f"/{kind.value.replace('_', '-')}"
        one = f"{all_}/{{name:.+}}" if kind is Kind.TABLE else f"{all_}/{{name}}"  # source/schema.name has a slash
        listed = tuple[type_, ...]  # type: ignore[valid-type]
        keeps = "; pipelines that it does not name stay" if kind is Kind.CHANNEL else ""
        keeps = '; password "" keeps the old one' if kind is Kind.DATA_SOURCE else keeps
        return (
            Route("GET", all_, f"Every {kind.words}", self.list_, listed),
            Route("POST", all_, f"Add a {kind.words}", self.create, type_, type_, status=201, errors=(409,)),
            Route("GET", one, f"One {kind.words}", self.get, type_, errors=(404,)),
            Route("PUT", one, f"Change a {kind.words}{keeps}", self.replace, type_, type_, errors=(404, 409)),
            Route("DELETE", one, f"Delete a {kind.words} that nothing uses", self.delete, errors=(404, 409)),
        )


# -- pipelines --------------------------------------------------------------------------------------------------------


async def _edit(call: Call, edit: Edit) -> Catalog:
    return await call.desk.edit(call.who.user, edit)


async def _pipelines(call: Call) -> tuple[Pipeline, ...]:
    return (await call.desk.catalog()).channel(call.params["channel"]).pipelines


async def _pipeline(call: Call) -> Pipeline:
    return (await call.desk.catalog()).pipeline(call.params["channel"], call.params["pipeline"])


async def _add_pipeline(call: Call) -> Pipeline:
    channel = call.params["channel"]
    catalog = await _edit(call, lambda catalog: c.put_pipeline(catalog, channel, call.body))
    return catalog.pipeline(channel, call.body.name)


async def _change_pipeline(call: Call) -> Pipeline:
    """A body without ``pairs`` keeps them (the console changes them one by one); ``[]`` removes all."""
    channel, name = call.params["channel"], call.params["pipeline"]

    def edit(catalog: Catalog) -> Catalog:
        new = call.body
        if "pairs" not in call.given:
            new = msgspec.structs.replace(new, pairs=catalog.pipeline(channel, name).pairs)
        return c.put_pipeline(catalog, channel, new, name)

    return (await _edit(call, edit)).pipeline(channel, call.body.name)


async def _delete_pipeline(call: Call) -> None:
    name = call.params["pipeline"]
    catalog = await call.desk.catalog()
    channel, pipeline = catalog.channel(call.params["channel"]), await _pipeline(call)
    await commands.refuse_unless_stopped(call.desk, catalog, channel, f"pipeline {name!r}")
    await _edit(call, lambda catalog: c.remove_pipeline(catalog, channel.name, name))
    await commands.forget(call.desk, catalog, channel, pipeline)


# -- pairs ------------------------------------------------------------------------------------------------------------


def _where(call: Call) -> tuple[str, str]:
    return call.params["channel"], call.params["pipeline"]


async def _pairs(call: Call) -> tuple[Pair, ...]:
    return (await _pipeline(call)).pairs


async def _add_pair(call: Call) -> Pair:
    await _edit(call, lambda catalog: c.put_pair(catalog, _where(call), call.body))
    return cast("Pair", call.body)


async def _change_pair(call: Call) -> Pair:
    await _edit(call, lambda catalog: c.put_pair(catalog, _where(call), call.body, call.params["source"]))
    return cast("Pair", call.body)


async def _delete_pair(call: Call) -> None:
    await _edit(call, lambda catalog: c.remove_pair(catalog, _where(call), call.params["source"]))


_PIPELINES = "/channels/{channel}/pipelines"
_ONE = _PIPELINES + "/{pipeline}"
_PAIRS = _ONE + "/pairs"

ROUTES: tuple[Route, ...] = (
    *(route for kind in Kind for route in _Objects(kind).routes()),
    Route("GET", _PIPELINES, "Pipelines of a channel", _pipelines, tuple[Pipeline, ...], errors=(404,)),
    Route("POST", _PIPELINES, "Add a pipeline", _add_pipeline, Pipeline, Pipeline, status=201, errors=(404, 409)),
    Route("GET", _ONE, "One pipeline", _pipeline, Pipeline, errors=(404,)),
    Route("PUT", _ONE, "Change a pipeline; a body without pairs keeps them", _change_pipeline, Pipeline, Pipeline,
          errors=(404, 409)),
    Route("DELETE", _ONE, "Delete a pipeline of a stopped channel", _delete_pipeline, errors=(404, 409)),
    Route("GET", _PAIRS, "Mapping pairs of a pipeline", _pairs, tuple[Pair, ...], errors=(404,)),
    Route("POST", _PAIRS, "Add a mapping pair", _add_pair, Pair, Pair, status=201, errors=(404, 409)),
    Route("PUT", _PAIRS + "/{source}", "Change the pair of a source table", _change_pair, Pair, Pair,
          errors=(404, 409)),
    Route("DELETE", _PAIRS + "/{source}", "Delete the pair of a source table", _delete_pair, errors=(404,)),
)  # fmt: skip
