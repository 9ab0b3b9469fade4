from __future__ import annotations

from pathlib import Path

import javaproperties
import pytest

from otter import settings as table
from otter.cli.settings import markdown, properties
from otter.errors import BadConfig

from .conftest import ROOT, Otter


def test_the_shipped_files_are_those_of_the_table() -> None:
    assert (ROOT / "conf" / "otter.properties").read_text("utf-8") == properties("node manager", {})
    assert (ROOT / "docs" / "settings.md").read_text("utf-8") == markdown()


def test_the_shipped_file_says_every_name_and_its_real_default(home: Path) -> None:
    text = properties("node manager", {})
    active = text.replace("\n#otter.", "\notter.")
    assert javaproperties.loads(active) == {setting.name: setting.default for setting in table.SETTINGS}
    (home / "conf" / "otter.properties").write_text(active)
    for role in ("node", "manager"):
        assert table.load(role, home, {}).values == table.load(role, home.parent / "none", {}).values | {
            name: value for name, value in table.load(role, home, {}).values.items() if str(home) in str(value)
        }


def test_given_values_survive_the_properties_file(home: Path) -> None:
    given = {"otter.bind": "::1", "otter.htdocs.dir": "C:\\data\\#1 数据"}
    (home / "conf" / "otter.properties").write_text(properties("node", given), "utf-8")
    loaded = table.load("node", home, {})
    assert {name: loaded[name] for name in given} == given


def test_every_setting_is_shown_with_its_origin(otter: Otter, home: Path) -> None:
    (home / "conf" / "otter.properties").write_text("otter.port = 8088\n")
    ended = otter("settings", "--home", home, OTTER_BIND="127.0.0.9")
    lines = {line.split()[0]: line for line in ended.out.splitlines()}
    assert ended.code == 0
    assert all(setting.name in lines for setting in table.SETTINGS)
    assert "8088" in lines["otter.port"]
    assert lines["otter.port"].rstrip().endswith("conf/otter.properties")
    assert lines["otter.bind"].split()[-3:] == ["127.0.0.9", "environment", "OTTER_BIND"]
    assert lines["otter.htdocs.ttl"].rstrip().endswith("default")


def test_secrets_are_not_shown(otter: Otter, home: Path) -> None:
    url = "mysql://otter:geheim@127.0.0.1:3306/otter"
    ended = otter("settings", "--home", home, OTTER_DATABASE_PASSWORD="geheim", OTTER_DATABASE_URL=url)
    assert "geheim" not in ended.out
    assert "mysql://otter:******@127.0.0.1:3306/otter" in ended.out


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("otter.prot = 1", "did you mean otter.port"),
        ("otter.port = 99999", "must be a port, 1 to 65535"),
        ("otter.jetty = jetty.xml", "needs no file of its own"),
        ("otter.manager.address = nowhere", "is not host:port"),
        ("nonsense = 1", "see `otter settings`"),
    ],
)
@pytest.mark.parametrize("role", ["node", "manager"])
def test_a_bad_setting_is_one_sentence_that_names_it(
    otter: Otter, home: Path, line: str, words: str, role: str
) -> None:
    (home / "conf" / "otter.properties").write_text(line + "\n")
    (home / "conf" / "nid").write_text("1\n")
    try:
        table.load(role, home, {})
    except BadConfig:
        ended = otter(role, "--home", home)
        assert ended.code == 3
        assert line.split(maxsplit=1)[0] in ended.err
        assert words in ended.err
        assert "Traceback" not in ended.err
