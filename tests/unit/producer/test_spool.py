"""What was appended is on disk, comes back after any end, goes when it is stored."""

import asyncio
import errno
import os
import time
from pathlib import Path

import pytest

from conf.errors import FixSetup
from producer import segments
from producer.batcher import Record
from producer.gaps import Outage
from producer.mark import Mark
from producer.spool import Spool
from tests.unit.producer.spooling import (
    acknowledge,
    committed,
    committing,
    content,
    records,
    spool,
    waiting,
)

OUTAGE = Outage("e0", "cut", 5, {"trades": ["A"]})


async def test_records_reach_the_outbox_in_order_and_only_after_the_disk(
    tmp_path: Path,
):
    async with committing(spool(tmp_path)) as box:
        box.append(records(5))
        assert box.outbox.depth == 0
        assert box.depth == 5
        await box.flush()
        assert waiting(box) == content(records(5))


async def test_what_comes_while_the_disk_works_is_written_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    batch, box = records(6), spool(tmp_path)
    loop, write = asyncio.get_running_loop(), segments.Segments.write
    written = 0

    def append_meanwhile(itself: segments.Segments, content: list[bytes]) -> object:
        nonlocal written
        places = write(itself, content)
        written += 1
        if written <= 2:
            more = batch[2 * written : 2 * written + 2]
            loop.call_soon_threadsafe(box.append, more, Mark("e1", written))
            time.sleep(0.05)  # the loop takes it before this write has ended
        return places

    monkeypatch.setattr(segments.Segments, "write", append_meanwhile)
    async with committing(box):
        box.append(batch[:2])
        await box.flush()
        assert waiting(box) == content(batch)
    async with committing(spool(tmp_path)) as again:
        assert waiting(again) == content(batch)


async def test_marks_that_wait_for_kinesis_are_bounded(tmp_path: Path):
    async with committing(spool(tmp_path)) as box:
        for number in range(1, 1_001):
            box.append(records(1), Mark("e1", number))
        await box.flush()
        assert box.stored_mark is None
        acknowledge(box, 1_000)
        await committed(box, [])
        assert box.stored_mark == Mark("e1", 1_000)


async def test_the_next_process_finds_what_was_not_acknowledged(tmp_path: Path):
    async with committing(spool(tmp_path)) as box:
        await committed(
            box, records(5), mark=Mark("e1", 77, {"trades": ["A"]}, [OUTAGE])
        )
        acknowledge(box, 2)
        await committed(box, [])
    async with committing(spool(tmp_path)) as box:
        assert waiting(box) == content(records(5))[2:]
        assert box.mark == Mark("e1", 77, {"trades": ["A"]}, [OUTAGE])
        await committed(box, records(1))
        assert waiting(box) == content(records(1))


async def test_a_torn_end_costs_only_what_was_not_written_whole(tmp_path: Path):
    async with committing(spool(tmp_path)) as box:
        await committed(box, records(5))
    (path,) = tmp_path.glob("*.spool")
    whole = path.read_bytes()
    kept = set()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        box = spool(tmp_path)
        found = waiting(box)
        box.close()
        assert found == content(records(5))[: len(found)]
        kept.add(len(found))
    assert kept == set(range(6))


async def test_a_changed_byte_is_never_sent(tmp_path: Path):
    async with committing(spool(tmp_path)) as box:
        await committed(box, records(3))
    (path,) = tmp_path.glob("*.spool")
    whole = bytearray(path.read_bytes())
    whole[-10] ^= 1
    path.write_bytes(whole)
    box = spool(tmp_path)
    assert waiting(box) == content(records(3))[: len(waiting(box)) or 3]
    box.close()


async def test_files_go_when_all_their_records_are_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 1_000)
    async with committing(spool(tmp_path)) as box:
        for _ in range(10):
            await committed(box, records(20), mark=Mark("e1", 5))
        assert len(list(tmp_path.glob("*.spool"))) > 3
        acknowledge(box, 1000)
        await committed(box, [], [])
        assert len(list(tmp_path.glob("*.spool"))) == 1
        assert box.disk_bytes < 2_000
    box = spool(tmp_path)
    assert (waiting(box), box.mark) == ([], Mark("e1", 5))
    box.close()


async def test_what_kinesis_has_is_kept_for_a_while_if_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 1_000)
    told = [record.data for record in records(20)] * 10

    async def stored(box: Spool, keep_from_s: float) -> list[bytes]:
        async with committing(box):
            box.keep_from_s = keep_from_s
            await committed(box, *[records(20)] * 10)
            acknowledge(box, 1000)
            await committed(box, [], [])
            return list(box.payloads(keep_from_s))

    assert await stored(spool(tmp_path / "wide"), 0.0) == told
    assert len(await stored(spool(tmp_path / "tight", 5_000), 0.0)) < 100
    async with committing(spool(tmp_path / "wide")) as box:
        assert (waiting(box), list(box.payloads(0.0))) == ([], told)
        assert list(box.payloads(time.time() + 60)) == []
        box.keep_from_s = time.time() + 60
        await committed(box, [], [])
        assert len(list((tmp_path / "wide").glob("*.spool"))) == 1


async def test_files_that_began_after_a_time_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 1)
    async with committing(spool(tmp_path)) as box:
        for number in range(4):
            await committed(box, records(number + 1)[-1:])
        for number, path in enumerate(sorted(tmp_path.glob("*.spool"))):
            os.utime(path, (100 + number, 100 + number))  # when it was last written

        def numbers(*times_s: float) -> list[int]:
            return [int(payload) for payload in box.payloads(*times_s)]

        assert numbers(100, 103) == [0, 1, 2, 3]
        assert numbers(101, 101.5) == [1, 2]
        assert numbers(101, 102) == [1, 2]
        assert numbers(104) == []


async def test_above_its_bound_it_is_full_until_well_below(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 1_000)
    async with committing(spool(tmp_path, max_bytes=5_000)) as box:
        while not box.is_full:
            await committed(box, records(10))
        depth = box.outbox.depth
        acknowledge(box, 5)
        await committed(box, [])
        assert box.is_full
        acknowledge(box, depth)
        await committed(box, [])
        await committed(box, [])
        assert not box.is_full


async def test_what_a_full_disk_does_not_take_is_sent_and_the_disk_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    real, fails = os.fdatasync, [True]

    def fdatasync(file: int) -> None:
        if fails[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(file)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    async with committing(spool(tmp_path)) as box:
        await committed(box, records(3))
        assert box.is_full
        assert "No space left" in (box.problem or "")
        assert waiting(box) == content(records(3))
        fails[0] = False
        await committed(box, records(2))
        assert (box.is_full, box.problem) == (False, None)
    box = spool(tmp_path)
    assert waiting(box)[-2:] == content(records(2))
    box.close()


async def test_it_tells_until_when_everything_is_acknowledged(tmp_path: Path):
    async with committing(spool(tmp_path)) as box:
        await committed(box, records(2), mark=Mark("e1", 100))
        await committed(box, records(2), mark=Mark("e1", 200))
        assert box.stored_mark is None
        acknowledge(box, 3)
        await committed(box, [])
        assert box.stored_mark == Mark("e1", 100)
        acknowledge(box, 1)
        await committed(box, [])
        assert box.stored_mark == Mark("e1", 200)


async def test_behind_is_the_age_of_the_oldest_unsent_record(tmp_path: Path):
    async with committing(spool(tmp_path)) as box:
        assert box.behind_ms(500.0) == 0.0
        box.append([Record("K", b"", 1, 100.0), Record("K", b"", 1, 300.0)])
        assert box.behind_ms(500.0) == 400.0
        await box.flush()
        assert box.behind_ms(500.0) == 400.0
        acknowledge(box, 1)
        assert box.behind_ms(500.0) == 200.0


def test_two_processes_cannot_share_a_spool(tmp_path: Path):
    box = spool(tmp_path)
    with pytest.raises(FixSetup, match="another producer"):
        spool(tmp_path)
    box.close()
    spool(tmp_path).close()
