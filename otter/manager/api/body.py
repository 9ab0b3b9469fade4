"""JSON bodies into model objects, with errors that name the field and the mend."""

from __future__ import annotations

import difflib
import re
from typing import Any

import msgspec

from otter.manager.refusal import Refusal
from otter.model.config import REMOVED_PARAMETERS

_WHERE = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>.*)`)?$", re.S)
_UNKNOWN = re.compile(r"unknown field `(?P<name>.*)`")
_MISSING = re.compile(r"missing required field `(?P<name>.*)`")


def decode(data: bytes, type_: Any) -> Any:
    """Raises :class:`Refusal` with the path of the field: ``parameters.parallelism``."""
    try:
        return msgspec.json.decode(data, type=type_)
    except msgspec.ValidationError as error:
        raise _refusal(str(error), type_) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(f"the body is not JSON: {error}") from None


def convert(values: dict[str, str], type_: Any) -> Any:
    """Query parameters into ``type_``."""
    try:
        return msgspec.convert(values, type_, strict=False)
    except msgspec.ValidationError as error:
        raise _refusal(str(error), type_) from None


def _refusal(text: str, type_: Any) -> Refusal:
    match = _WHERE.match(text)
    what, path = (match["what"], (match["path"] or "").removeprefix(".")) if match else (text, "")
    if unknown := _UNKNOWN.search(what):
        return _unknown(unknown["name"], path, type_)
    if missing := _MISSING.search(what):
        path = _join(path, missing["name"])
        return Refusal(f"{path} is missing", "give it", path)
    if "matching regex" in what and "w .@-" in what:
        hint = "a name begins with a letter or digit, then letters, digits, space . _ - @"
        return Refusal(f"{path or 'the value'} is not a name", hint, path)
    return Refusal(f"{path or 'the body'}: {what[:1].lower()}{what[1:]}", field=path)


def _unknown(name: str, path: str, type_: Any) -> Refusal:
    where = _join(path, name)
    if name in REMOVED_PARAMETERS:
        return Refusal(f"{where} is a parameter that Otter had and we do not", REMOVED_PARAMETERS[name], where)
    known = _fields(msgspec.inspect.type_info(type_), re.findall(r"\.(\w+)|(\[)", f".{path}"))
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
    return Refusal(f"{where} is not known", hint, where)


def _fields(info: msgspec.inspect.Type, steps: list[tuple[str, str]]) -> list[str]:
    """Field names of the struct that the path leads to."""
    for name, _ in steps:
        if isinstance(info, msgspec.inspect.StructType) and name:
            info = next(field.type for field in info.fields if field.encode_name == name)
        elif isinstance(info, msgspec.inspect.VarTupleType | msgspec.inspect.ListType):
            info = info.item_type
    return [field.encode_name for field in info.fields] if isinstance(info, msgspec.inspect.StructType) else []


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
