"""Both languages say everything: the same keys, every key that the pages use, no word left over."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from playwright.sync_api import Page

from otter.model.config import PipelineParameters

from .conftest import Manager

WEB = Path(__file__).parents[2] / "manager_web"
ENTRY = re.compile(r"^  '([^']+)': '((?:[^'\\]|\\.)+)',$", re.MULTILINE)
#: Keys that a server's word completes where no page spells them: problem.404, state.running ...
FROM_SERVER = re.compile(r"(problem\.\d+|state\.\w+|status\.\w+)$")


def catalogue(language: str) -> dict[str, str]:
    return dict(ENTRY.findall((WEB / "i18n" / f"{language}.js").read_text("utf-8")))


def sources() -> str:
    return "\n".join(file.read_text("utf-8") for file in sorted(WEB.rglob("*.js")) if file.parent.name != "i18n")


def test_both_catalogues_have_the_same_keys() -> None:
    en, zh = catalogue("en"), catalogue("zh")
    assert len(en) > 250
    assert en.keys() == zh.keys()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_line_of_a_catalogue_is_an_entry(language: str) -> None:
    text = (WEB / "i18n" / f"{language}.js").read_text("utf-8")
    assert text.count("': '") == len(catalogue(language))  # none given twice, none that the pattern missed


def test_every_key_that_a_page_uses_exists() -> None:
    keys = catalogue("en")
    missing = {key for key in re.findall(r"\bt\('([^']+)'", sources()) if key not in keys}
    for shape in re.findall(r"\bt\(`([^`]+)`", sources()):
        pattern = ".+".join(re.escape(part) for part in re.split(r"\$\{[^}]*\}", shape))
        if not any(re.fullmatch(pattern, key) for key in keys):
            missing.add(shape)
    assert missing == set()


def test_every_key_is_used() -> None:
    text = sources()
    spelled = set(re.findall(r"'([a-z_]+\.[\w.]+)'", text))
    shapes = [
        re.compile(".+".join(re.escape(part) for part in re.split(r"\$\{[^}]*\}", shape)))
        for shape in re.findall(r"`([a-z_]+\.[^` ]*\$\{[^` ]+)`", text)
    ]
    left = {
        key
        for key in catalogue("en")
        if key not in spelled and not FROM_SERVER.match(key) and not any(shape.fullmatch(key) for shape in shapes)
    }
    assert left == set()


def test_english_is_english_and_chinese_is_chinese() -> None:
    cjk = re.compile("[\u3400-\u9fff]")
    assert [key for key, words in catalogue("en").items() if cjk.search(words.replace("序号", ""))] == []
    # what stays Latin in Chinese: Otter's own nouns and names of settings
    latin = [key for key, words in catalogue("zh").items() if not cjk.search(words)]
    assert set(latin) <= {"col.node", "stage.select", "stage.extract", "stage.transform", "stage.load", "side.select",
                          "side.load", "form.default", "doctor.channel", "live.changed"}  # fmt: skip


def test_placeholders_agree() -> None:
    en, zh = catalogue("en"), catalogue("zh")
    holes = re.compile(r"\{\w+\}")
    assert [key for key in en if sorted(holes.findall(en[key])) != sorted(holes.findall(zh[key]))] == []


def test_parameters_are_those_of_the_model(manager: Manager, open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.goto(manager.base)
    shown: list[dict[str, Any]] = page.evaluate("import('./parameters.js').then((module) => module.PARAMETERS)")
    defaults: dict[str, Any] = msgspec.to_builtins(PipelineParameters())
    assert {field["name"]: field["default"] for field in shown} == defaults
    hints = get_type_hints(PipelineParameters, include_extras=True)
    limits = {
        field.encode_name: [(meta.ge, meta.le) for meta in get_args(hints[field.name])[1:]]
        for field in msgspec.structs.fields(PipelineParameters)
    }
    for field in shown:
        if limits[field["name"]]:
            assert [(field["min"], field["max"])] == limits[field["name"]]
        if "options" in field:
            assert field["options"] == [str(option) for option in hints_of(hints, field["name"])]


def hints_of(hints: dict[str, Any], name: str) -> Any:
    return hints[next(field.name for field in msgspec.structs.fields(PipelineParameters) if field.encode_name == name)]
