"""The download port, over real HTTP."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from yarl import URL

from otter.pipe import url
from otter.pipe.serve import congestion_control
from tests.pipe.conftest import KEY, Port


async def get(address: str, method: str = "GET", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    target = URL(address, encoded=True)
    async with aiohttp.ClientSession() as session, session.request(method, target, headers=headers) as answer:
        return answer.status, await answer.read(), dict(answer.headers)


async def test_a_signed_url_brings_the_file(port: Port) -> None:
    address, _, size, _, data = port.publish(300_000)
    assert (await get(address))[:2] == (200, data)
    status, body, headers = await get(address, "HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", str(size))


async def test_the_signature_may_come_in_a_header(port: Port) -> None:
    address, *_, data = port.publish(1000)
    plain, _, signature = address.partition("&sig=")
    assert (await get(plain))[0] == 403
    assert (await get(plain, **{url.SIGNATURE_HEADER: signature}))[:2] == (200, data)
    assert (await get(plain, **{url.SIGNATURE_HEADER: "0" * 64}))[0] == 403


async def test_ranges_are_byte_exact(port: Port) -> None:
    address, _, size, _, data = port.publish(100_000)
    for begin, end in ((0, 0), (0, 99), (5000, 70_000), (size - 1, size - 1)):
        status, body, headers = await get(address, Range=f"bytes={begin}-{end}")
        assert (status, body) == (206, data[begin : end + 1])
        assert headers["Content-Range"] == f"bytes {begin}-{end}/{size}"
    assert (await get(address, Range="bytes=-10"))[1] == data[-10:]
    assert (await get(address, Range=f"bytes={size - 5}-"))[1] == data[-5:]
    assert (await get(address, Range=f"bytes={size}-"))[0] == 416


@pytest.mark.parametrize("query", ["", "nid=2", "nid=2&expires=99999999999&sig=00", "nid=3&{rest}"])
async def test_without_a_good_signature_there_is_nothing(port: Port, query: str) -> None:
    address, name, *_ = port.publish(100)
    rest = urlsplit(address).query.partition("&")[2]
    for file in (name, "no-such.otter"):  # nor a word on what is here
        target = f"http://127.0.0.1:{port.number}/download/{file}?{query.format(rest=rest)}"
        status, body, headers = await get(target)
        assert status == 403 and b"sig" in body
        assert headers["Content-Type"].startswith("application/problem+json")


async def test_an_expired_url_says_so(port: Port) -> None:
    _, name, *_ = port.publish(100)
    status, body, _ = await get(port.sign(name, life=-5))
    assert status == 403 and b"this address expired" in body


async def test_nothing_outside_htdocs_and_nothing_unfinished(port: Port, tmp_path: Path) -> None:
    (tmp_path / "secret.otter").write_text("hidden words")
    (port.folder / "link.otter").symlink_to(tmp_path / "secret.otter")
    (port.folder / ".x.otter.00000000.tmp").write_text("hidden words")
    (port.folder / "notes.txt").write_text("hidden words")
    (port.folder / "sub").mkdir()
    (port.folder / "sub" / "x.otter").write_text("hidden words")
    for name in (
        "link.otter", ".x.otter.00000000.tmp", "notes.txt", "..", "../secret.otter", "sub/x.otter",
        "%2e%2e/secret.otter", "..%2fsecret.otter", "%2e%2e%2fsecret.otter",
        "/etc/passwd", "%2fetc%2fpasswd", "x%00.otter", "", "sub", ".",
    ):  # fmt: skip
        decoded = URL(f"http://n/download/{name}", encoded=True).path.removeprefix("/download/")
        for signed in (name, decoded):  # signed either way: only the folder's own rule is left
            query = urlsplit(port.sign(signed)).query
            status, body, _ = await get(f"http://127.0.0.1:{port.number}/download/{name}?{query}")
            assert status in (403, 404) and b"hidden words" not in body
    assert await raw(port, f"GET /download/../../etc/passwd?{urlsplit(port.sign('x')).query} HTTP/1.1") in (403, 404)


async def raw(port: Port, line: str) -> int:
    """The status of a request that no client library has tidied up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
    writer.write(f"{line}\r\nHost: n\r\nConnection: close\r\n\r\n".encode())
    status = int((await reader.readline()).split()[1])
    writer.close()
    await writer.wait_closed()
    return status


async def test_no_other_methods_and_paths(port: Port) -> None:
    address, *_ = port.publish(100)
    for method in ("POST", "PUT", "DELETE"):
        assert (await get(address, method))[0] == 405
    assert (await get(f"http://127.0.0.1:{port.number}/"))[0] == 404


async def test_the_access_log_has_no_signature(port: Port, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    address, name, *_ = port.publish(100)
    await get(address)
    assert f"nid=2 GET /download/{name} 200" in caplog.text
    assert "sig=" not in caplog.text and address.partition("&sig=")[2] not in caplog.text
    assert KEY.hex() not in caplog.text


async def test_the_connection_asks_for_bbr(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as own:
        assert congestion_control(own)
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")  # every Linux has it
        assert congestion_control(own) == "reno"
    with socket.socketpair()[0] as unix:
        assert congestion_control(unix) == ""
    monkeypatch.setattr("otter.pipe.serve.CONGESTION_CONTROL", b"nosuch")  # a kernel that has none: quietly go on
    address, *_, data = port.publish(os.getpid() % 1000 + 100)
    assert (await get(address))[1] == data
