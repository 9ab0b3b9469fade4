"""Signed URLs."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from otter.pipe import url

KEY, NOW = bytes(32), 1_700_000_000.0


def pieces(address: str) -> tuple[str, dict[str, str]]:
    split = urlsplit(address)
    return split.path, dict(parse_qsl(split.query))


def test_a_signed_url_is_good_until_it_expires() -> None:
    address = url.sign("http://10.0.0.1:9090/", "1-2-3-4-aabbccdd.otter", 5, NOW + 60, KEY)
    assert address.startswith("http://10.0.0.1:9090/download/1-2-3-4-aabbccdd.otter?nid=5&expires=1700000060&sig=")
    assert KEY.hex() not in address
    path, query = pieces(address)
    assert url.verify(path, query, NOW, KEY) is None
    assert url.verify(path, query, NOW + 59, KEY) is None
    assert "expired 1 s ago" in str(url.verify(path, query, NOW + 61, KEY))


@pytest.mark.parametrize(
    "change",
    [{"nid": "6"}, {"expires": "1700009999"}, {"expires": "x"}, {"sig": "0" * 64}, {"sig": "ü\udcff"}, {"nid": "5\n1"}],
)
def test_whatever_is_changed_breaks_it(change: dict[str, str]) -> None:
    path, query = pieces(url.sign("http://n", "a.otter", 5, NOW + 60, KEY))
    assert "does not fit" in str(url.verify(path, query | change, NOW, KEY))
    assert "does not fit" in str(url.verify("/download/b.otter", query, NOW, KEY))
    assert "does not fit" in str(url.verify(path, query, NOW, b"1" * 32))


@pytest.mark.parametrize("missing", ["nid", "expires", "sig"])
def test_all_three_are_needed(missing: str) -> None:
    path, query = pieces(url.sign("http://n", "a.otter", 5, NOW + 60, KEY))
    del query[missing]
    assert "needs nid, expires and sig" in str(url.verify(path, query, NOW, KEY))
