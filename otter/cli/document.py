"""The YAML file of ``otter apply`` and ``otter export``: text to :class:`~otter.model.config.Document` and back.

Errors name the line. Dates stay text (YAML would make objects of them), so ``start: {time: 2026-11-23T08:00:00+08:00}``
needs no quotes.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
import yaml

from otter.errors import BadConfig, OtterError
from otter.model.config import REMOVED_PARAMETERS, Document


class BadDocument(BadConfig):
    """Something in the file cannot be used: ``where`` is ``file:line`` with the field, ``what`` is wrong with it."""

    def __init__(self, where: str, what: str, hint: str = "") -> None:
        OtterError.__init__(self, f"{where}: {what}", hint)
        self.field = where
        self.value = what


class _Loader(yaml.SafeLoader):
    """Safe, without dates and without Python-2-age numbers such as ``1:30``."""


_UNWANTED = {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:int"}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _UNWANTED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789"))


def read(text: str, name: str) -> Document:
    """The document in ``text``; raises BadDocument with ``name:line`` and what is wrong there."""
    try:
        tree = yaml.compose(text, Loader=_Loader)
        plain = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark else 1
        raise BadDocument(f"{name}:{line}", f"not valid YAML: {error.problem or error}") from None
    except yaml.YAMLError as error:
        raise BadDocument(name, f"not valid YAML: {error}") from None
    try:
        return msgspec.convert(plain or {}, Document)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$")
        raise _bad(name, tree, what, path.rstrip("`")) from None


def _bad(name: str, tree: yaml.Node | None, what: str, path: str) -> BadDocument:
    steps = re.findall(r"\.(\w+)|\[(\d+)\]", path)
    keys: list[str | int] = [int(index) if index else key for key, index in steps]
    unknown = re.search(r"unknown field `([^`]+)`", what)
    if unknown:
        keys.append(unknown.group(1))
        advice = REMOVED_PARAMETERS.get(unknown.group(1))
        if advice:
            what = f"this parameter of Otter is gone: {advice}"
    where = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".") or "the document"
    node = _at(tree, keys)
    line = f":{node.start_mark.line + 1}" if node else ""
    return BadDocument(f"{name}{line}: {where}", what, "docs/yaml.md lists the fields, conf/example.yaml shows them")


def _at(node: yaml.Node | None, keys: list[str | int]) -> yaml.Node | None:
    """The node that ``keys`` lead to, or the last one on the way that exists."""
    for key in keys:
        found: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            found = next((value for name, value in node.value if name.value == key), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            found = node.value[key]
        if found is None:
            return node
        node = found
    return node


def write(document: Document) -> str:
    """YAML that :func:`read` gives back as the same document; fields at their default are left out."""
    return str(yaml.safe_dump(_plain(document), sort_keys=False, allow_unicode=True, width=120))


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return {
            field.encode_name: _plain(getattr(value, field.name))
            for field in msgspec.structs.fields(value)
            if getattr(value, field.name) != field.default
        }
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return msgspec.to_builtins(value)
