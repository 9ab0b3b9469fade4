"""The cached configuration: whole, private, and of this node."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest

from otter.errors import Retryable
from otter.model.config import NodeConfig
from otter.node.config import ConfigCache, ConfigSource
from otter.rpc.client import Peer

from .test_supervisor import config, task


@pytest.fixture
def cache(tmp_path: Path) -> ConfigCache:
    return ConfigCache(tmp_path / "node.cache.json")


def test_what_was_written_is_read(cache: ConfigCache, tmp_path: Path) -> None:
    written = config(7, task(1, (7,), (8,)))
    cache.write(written)
    assert cache.read(7) == written
    assert stat.S_IMODE((tmp_path / "node.cache.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["node.cache.json"]


def test_the_cache_of_another_node_is_none_of_ours(cache: ConfigCache) -> None:
    cache.write(config(7))
    assert cache.read(8) is None


@pytest.mark.parametrize("content", [b"", b"{", b'{"version": 1, "unknown": 2}'])
def test_a_broken_cache_is_no_cache(cache: ConfigCache, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "node.cache.json").write_bytes(content)
    assert cache.read(7) is None


def test_a_newer_configuration_replaces_the_cached_one(cache: ConfigCache) -> None:
    cache.write(config(7))
    newer: NodeConfig = msgspec.structs.replace(config(7), version=2)
    cache.write(newer)
    assert cache.read(7) == newer


async def test_without_a_manager_the_cache_is_used(cache: ConfigCache) -> None:
    nobody = Peer("http://127.0.0.1:1", b"k" * 32)
    source = ConfigSource([nobody], 7, cache)
    with pytest.raises(Retryable, match=r"no cached configuration.*otter\.manager\.address"):
        await source.first()
    cache.write(config(7))
    assert (await source.first()).node.nid == 7
    await nobody.close()
