"""``otter apply`` and ``otter export``: one document of objects, by name. Pure.

Objects that the document does not name are left alone; one that it names becomes what it says (numbers and passwords
that it leaves out stay). Within a channel, pipelines are matched by name.
"""

from __future__ import annotations

from collections.abc import Iterator

from otter.manager import catalog as c
from otter.manager.catalog import Catalog, Item, Kind, key_of
from otter.manager.changes import Action, compare
from otter.manager.passwords import Vault
from otter.manager.refusal import Refusal
from otter.model.config import DataSource, Document


def applied(catalog: Catalog, document: Document, vault: Vault) -> Catalog:
    """The catalog with all that the document says; unchecked."""
    for kind in Kind:
        seen: set[str] = set()
        for index, item in enumerate(_items(document, kind)):
            name = key_of(item)
            if name in seen:
                raise Refusal(f"{kind.words} {name!r} is there twice", "name each once", f"{_field(kind)}[{index}]")
            seen.add(name)
            catalog = _with(catalog, kind, item, vault)
    return catalog


def _with(catalog: Catalog, kind: Kind, item: Item, vault: Vault) -> Catalog:
    old = catalog.of(kind).get(key_of(item))
    if isinstance(item, DataSource):
        item = vault.sealed(item, old if isinstance(old, DataSource) else None)
    return c.create(catalog, item) if old is None else c.replace(catalog, key_of(item), item)


def plan(old: Catalog, new: Catalog, document: Document) -> Iterator[Action]:
    """What applying the document does, object by object, in its order; kept objects too. Tables that pairs bring along
    are shown as well."""
    named: dict[Kind, list[str]] = {kind: [key_of(item) for item in _items(document, kind)] for kind in Kind}
    named[Kind.TABLE] += [name for name in new.tables if name not in old.tables and name not in named[Kind.TABLE]]
    for kind in Kind:
        for name in named[kind]:
            yield from compare(kind, name, old.of(kind).get(name), new.of(kind).get(name))


def export(catalog: Catalog) -> Document:
    """Everything, with passwords as ``enc:...``: usable again under the same cluster key."""
    return Document(
        zookeepers=tuple(catalog.zookeepers.values()),
        nodes=tuple(catalog.nodes.values()),
        data_sources=tuple(catalog.data_sources.values()),
        tables=tuple(catalog.tables.values()),
        channels=tuple(catalog.channels.values()),
    )


def _items(document: Document, kind: Kind) -> tuple[Item, ...]:
    items: tuple[Item, ...] = getattr(document, kind.value)
    return items


def _field(kind: Kind) -> str:
    return "dataSources" if kind is Kind.DATA_SOURCE else kind.value
