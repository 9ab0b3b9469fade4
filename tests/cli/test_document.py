from __future__ import annotations

import pytest

from otter.cli import document
from otter.cli.document import BadDocument
from otter.model.config import Document, PipelineParameters

from .conftest import ROOT

EXAMPLE = (ROOT / "conf" / "example.yaml").read_text("utf-8")


def test_the_example_is_a_document_and_comes_back_from_its_yaml() -> None:
    found = document.read(EXAMPLE, "example.yaml")
    assert found.channels[0].pipelines[0].pairs[3].target_name == "shop.goods"
    assert found.channels[0].pipelines[0].start.time == "2026-11-23T08:00:00+08:00"
    assert document.read(document.write(found), "again") == found


def test_the_example_shows_every_parameter_at_its_default() -> None:
    pipeline = document.read(EXAMPLE, "example.yaml").channels[0].pipelines[0]
    assert pipeline.parameters == PipelineParameters()
    for name in PipelineParameters.__struct_encode_fields__:
        assert f"          {name}: " in EXAMPLE
        assert f"`{name}` " in (ROOT / "docs" / "yaml.md").read_text("utf-8")


def test_an_empty_file_is_an_empty_document() -> None:
    assert document.read("# nothing\n", "x") == Document()


PARAMETERS = "      parameters: {{{}}}\n"
PIPELINE = (
    "channels:\n - name: x\n   pipelines:\n    - name: p\n      source: a\n      target: b\n"
    "      selectNodes: [n]\n      loadNodes: [n]\n"
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nodes: [", "f.yaml:1: not valid YAML"),
        ("nodes:\n\t- name: a\n", "f.yaml:2: not valid YAML"),
        ("nodes:\n - name: a\n   ip: b\n   zookeeper: z\n   port: x\n", "f.yaml:5: nodes[0].port: Expected `int`"),
        ("nodes:\n - name: a\n   prt: 5\n", "f.yaml:3: nodes[0].prt: Object contains unknown field `prt`"),
        ("nodes:\n - name: a\n", "f.yaml:2: nodes[0]: Object missing required field `ip`"),
        ("- a\n", "f.yaml:1: the document: Expected `object`, got `array`"),
        (PIPELINE + PARAMETERS.format("lbPercent: 3"), "f.yaml:9: channels[0].pipelines[0].parameters.lbPercent: this"),
        (PIPELINE + PARAMETERS.format("lbPercent: 3"), "use lbAlgorithm"),
        (PIPELINE + PARAMETERS.format("parallelism: 0"), "f.yaml:9: channels[0].pipelines[0].parameters.parallelism"),
        ("a: !!python/object/apply:os.system [id]\n", "f.yaml:1"),
    ],
)
def test_errors_name_the_line_and_the_field(text: str, words: str) -> None:
    with pytest.raises(BadDocument) as error:
        document.read(text, "f.yaml")
    assert words in str(error.value)


def test_a_wrong_password_is_not_repeated() -> None:
    with pytest.raises(BadDocument) as error:
        document.read("dataSources:\n - {name: a, host: h, username: u, password: 12345678}\n", "f.yaml")
    assert "12345678" not in str(error.value)


def test_yaml_traps_of_old_are_off() -> None:
    text = "tables: [{source: 2026-11-23, schema: 1:30, name: 007}]"
    table = document.read(text, "f.yaml").tables[0]
    assert (table.source, table.schema, table.name) == ("2026-11-23", "1:30", "007")
