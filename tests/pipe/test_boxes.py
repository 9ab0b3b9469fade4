"""Outbox to inbox: every pipe, over real servers."""

from __future__ import annotations

import msgspec
import pytest

from otter.errors import Damaged, Retryable
from otter.model.batch import Batch, Part
from otter.model.config import PipeChooseType, PipelineParameters
from otter.model.process import PipeKey, PipeKind, Ticket
from otter.pipe.downloader import Downloader, Missing
from otter.pipe.file import read_header
from otter.pipe.htdocs import Htdocs
from otter.pipe.inbox import Inbox
from otter.pipe.outbox import Outbox
from tests.pipe.batches import batch
from tests.pipe.conftest import KEY, Port

PARAMETERS = PipelineParameters()
HERE, THERE = 1, 2


@pytest.fixture
def outbox(port: Port) -> Outbox:
    return Outbox(port.htdocs, lambda _: f"http://127.0.0.1:{port.number}", KEY, HERE)


@pytest.fixture
def inbox(downloader: Downloader) -> Inbox:
    return Inbox(3, 17, downloader, Htdocs(downloader._folder, name="download"))


def ticket(given: Batch, key: PipeKey) -> Ticket:
    """As it arrives: through msgpack."""
    made = Ticket(given.epoch, given.number, key, given.start, given.end, part=given.part)
    return msgspec.msgpack.decode(msgspec.msgpack.encode(made), type=Ticket)


@pytest.mark.parametrize(
    ("size", "peer", "part", "kind"),
    [
        (1000, HERE, Part.WHOLE, PipeKind.MEMORY),
        (500_000, HERE, Part.WHOLE, PipeKind.MEMORY),
        (3_000_000, HERE, Part.WHOLE, PipeKind.FILE),
        (1000, THERE, Part.WHOLE, PipeKind.INLINE),
        (500_000, THERE, Part.WHOLE, PipeKind.FILE),
        (1000, THERE, Part.MIDDLE, PipeKind.FILE),
        (1000, HERE, Part.LAST, PipeKind.FILE),
    ],
)
async def test_every_pipe_brings_the_batch(  # noqa: PLR0917
    port: Port, outbox: Outbox, inbox: Inbox, size: int, peer: int, part: Part, kind: PipeKind
) -> None:
    given = batch(size=size, part=part)
    key, payload = await outbox.put(given, PARAMETERS, peer)
    assert key.kind is kind
    assert bool(payload) is (kind in (PipeKind.MEMORY, PipeKind.INLINE)) and bool(key.url) is (kind is PipeKind.FILE)
    local = port.folder if peer == HERE else None
    assert await inbox.get(ticket(given, key), payload, local) == given
    if kind is PipeKind.FILE:
        assert read_header(port.folder / key.file).number == 7
        outbox.remove(key)
        if peer == THERE:
            assert await inbox.get(ticket(given, key)) == given  # still in download/, until it is committed
        inbox.remove(key)
        with pytest.raises(Missing if peer == THERE else Damaged):
            await inbox.get(ticket(given, key), b"", local)


async def test_an_empty_batch_only_moves_the_position(outbox: Outbox, inbox: Inbox, port: Port) -> None:
    given = batch(transactions=0)
    key, payload = await outbox.put(given, PARAMETERS, THERE)
    assert (key, payload) == (PipeKey(PipeKind.NONE), b"")
    assert await inbox.get(ticket(given, key)) == given
    outbox.remove(key)
    inbox.remove(key)
    assert not port.htdocs.listing()


async def test_set_by_the_user(outbox: Outbox, inbox: Inbox) -> None:
    for way, size, kind in (
        ("HTTP", 10, PipeKind.FILE),
        ("RPC", 500_000, PipeKind.INLINE),
        ("RPC", 3_000_000, PipeKind.FILE),
    ):
        given = batch(size=size)
        key, payload = await outbox.put(given, PipelineParameters(pipe_choose_type=PipeChooseType(way)), THERE)
        assert key.kind is kind
        assert await inbox.get(ticket(given, key), payload) == given


async def test_a_damaged_push_is_damage(outbox: Outbox, inbox: Inbox) -> None:
    given = batch()
    key, payload = await outbox.put(given, PARAMETERS, THERE)
    for wrong in (b"", payload[:-1], payload[:100] + b"\0" + payload[101:], payload + b"\0"):
        with pytest.raises(Damaged):
            await inbox.get(ticket(given, key), wrong)


async def test_another_batch_than_the_ticket_says_is_refused(outbox: Outbox, inbox: Inbox) -> None:
    key, payload = await outbox.put(batch(8), PARAMETERS, THERE)
    with pytest.raises(Damaged, match="ticket 7 hold batch 8"):
        await inbox.get(ticket(batch(7), key), payload)


async def test_a_damaged_file_is_damage_and_sending_again_mends_it(port: Port, outbox: Outbox, inbox: Inbox) -> None:
    given = batch(size=200_000)
    key, _ = await outbox.put(given, PARAMETERS, THERE)
    path = port.folder / key.file
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Retryable):
        await inbox.get(ticket(given, key))
    again, _ = await outbox.put(given, PARAMETERS, THERE)
    assert again.file != key.file
    assert await inbox.get(ticket(given, again)) == given


async def test_no_room_is_said(port: Port) -> None:
    full = Outbox(Htdocs(port.folder, 100_000), lambda _: "http://n", KEY, HERE)
    with pytest.raises(Retryable, match="htdocs full"):
        await full.put(batch(size=200_000), PARAMETERS, THERE)


async def test_a_url_can_be_renewed(outbox: Outbox, inbox: Inbox) -> None:
    given = batch(size=200_000)
    key, _ = await outbox.put(given, PARAMETERS, 5)
    renewed = outbox.renew(key, THERE)
    assert "nid=2&" in renewed.url and renewed.digest == key.digest
    assert await inbox.get(ticket(given, renewed)) == given
    assert outbox.renew(PipeKey(PipeKind.NONE), THERE) == PipeKey(PipeKind.NONE)
