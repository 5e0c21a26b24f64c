"""What the disk changed, forgot or cannot read is kept aside, told, and stops nothing.

Record ``n`` is received just before ``100 * n``, when a mark says so.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from conf.errors import FixSetup
from producer import segments
from producer.batcher import Record
from producer.mark import Mark
from producer.segments import DAMAGED_FOLDER
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


async def received(box: Spool, batch: list[Record], first: int = 1) -> None:
    """Commit records one by one, each with its mark."""
    for number, record in enumerate(batch, first):
        await committed(box, [record], mark=Mark("e1", 100 * number))


async def filled(folder: Path, batch: list[Record], *, files: int) -> list[Path]:
    """Leave a spool of some files, written by one process after the other."""
    per_file = len(batch) // files
    for low in range(0, len(batch), per_file):
        async with committing(spool(folder)) as box:
            await received(box, batch[low : low + per_file], low + 1)
    return sorted(folder.glob("*.spool"))


def damage(path: Path, needle: bytes) -> None:
    """Change one byte of a record."""
    whole = bytearray(path.read_bytes())
    whole[whole.index(needle)] ^= 1
    path.write_bytes(whole)


def damage_from(path: Path, needle: bytes) -> None:
    """Overwrite a file from within a record to its end."""
    whole = path.read_bytes()
    start = whole.index(needle)
    path.write_bytes(whole[:start] + b"\xff" * (len(whole) - start))


def kept_aside(folder: Path) -> list[bytes]:
    kept = sorted((folder / DAMAGED_FOLDER).glob("*"))
    return [path.read_bytes() for path in kept]


def lost(box: Spool) -> list[tuple[int, int | None]]:
    return [(loss.from_ns, loss.to_ns) for loss in box.take_losses()]


def unreadable(
    monkeypatch: pytest.MonkeyPatch, is_bad: Callable[[str, int, int], bool]
) -> None:
    """Let reads fail as of a bad sector, by file, offset and length."""
    pread = os.pread

    def failing(file: int, length: int, offset: int) -> bytes:
        if is_bad(os.readlink(f"/proc/self/fd/{file}"), length, offset):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return pread(file, length, offset)

    monkeypatch.setattr(os, "pread", failing)


async def test_a_damaged_record_is_kept_aside_and_what_follows_is_sent(tmp_path: Path):
    batch = records(8)
    (path,) = await filled(tmp_path, batch, files=1)
    damage(path, batch[4].data)
    async with committing(spool(tmp_path)) as box:
        assert lost(box) == [(400, 600)]
        assert (box.damaged_total, box.mark) == (1, Mark("e1", 800))
        assert waiting(box) == content(batch[:4] + batch[5:])
    (kept,) = kept_aside(tmp_path)
    assert batch[4].data[1:] in kept
    async with committing(spool(tmp_path)) as box:
        acknowledge(box, 8)
        assert (box.outbox.stored_until, lost(box)) == (8, [(400, 600)])
        await committed(box, [], mark=Mark("e1", 900))
    async with committing(spool(tmp_path)) as box:
        assert (waiting(box), box.damaged_total, lost(box)) == ([], 0, [])
    assert kept_aside(tmp_path) == [kept]


async def test_damage_that_comes_while_a_record_waits_stops_nothing(tmp_path: Path):
    batch = records(4, size=1_000)
    async with committing(spool(tmp_path, memory_bytes=0)) as box:
        await received(box, batch)
        damage(tmp_path / "000000000001.spool", batch[1].data)
        assert waiting(box) == content([batch[0], *batch[2:]])
        assert lost(box) == [(100, 300)]
        assert (box.damaged_total, len(kept_aside(tmp_path))) == (1, 1)


async def test_a_damaged_mark_costs_no_record(tmp_path: Path):
    async with committing(spool(tmp_path)) as box:
        await committed(box, records(3), mark=Mark("e1", 123456))
        await committed(box, records(3), mark=Mark("e1", 200))
    damage(tmp_path / "000000000001.spool", b"123456")
    async with committing(spool(tmp_path)) as box:
        assert waiting(box) == content(records(3) * 2)
        assert (box.damaged_total, lost(box)) == (0, [])


async def test_damage_to_the_end_of_a_file_before_the_last_is_told(tmp_path: Path):
    batch = records(6)
    first, _ = await filled(tmp_path, batch, files=2)
    damage_from(first, batch[1].data)
    async with committing(spool(tmp_path)) as box:
        assert waiting(box) == content([batch[0], *batch[3:]])
        assert (lost(box), box.damaged_total) == ([(100, 500)], 2)
    (kept,) = kept_aside(tmp_path)
    assert first.read_bytes().endswith(kept)


async def test_a_torn_end_is_no_damage_when_files_follow(tmp_path: Path):
    batch = records(3)
    (first,) = await filled(tmp_path, batch, files=1)
    whole = first.read_bytes()
    for length in range(len(whole)):
        first.write_bytes(whole[:length])
        for _ in range(2):  # whoever comes next goes on with the next number
            async with committing(spool(tmp_path)) as box:
                assert (box.damaged_total, lost(box)) == (0, [])
                await committed(box, records(1), mark=Mark("e1", 400))
        assert not (tmp_path / DAMAGED_FOLDER).exists()
        for path in tmp_path.glob("*.spool"):
            path.unlink()


async def test_damage_over_several_files_is_one_loss_and_all_of_it_is_kept(
    tmp_path: Path,
):
    batch = records(9)
    first, second, _ = await filled(tmp_path, batch, files=3)
    damage_from(first, batch[2].data)
    second.write_bytes(b"\xff" * 100)
    async with committing(spool(tmp_path)) as box:
        assert waiting(box) == content(batch[:2] + batch[6:])
        assert (lost(box), box.damaged_total) == ([(200, 800)], 4)
    assert [len(kept) for kept in kept_aside(tmp_path)][1:] == [100]


@pytest.mark.parametrize("is_cut", [True, False], ids=["cut", "deleted"])
async def test_what_is_gone_without_a_trace_is_told(tmp_path: Path, is_cut: bool):
    batch = records(9)
    _, second, _ = await filled(tmp_path, batch, files=3)
    second.write_bytes(b"") if is_cut else second.unlink()
    async with committing(spool(tmp_path)) as box:
        assert waiting(box) == content(batch[:3] + batch[6:])
        assert (lost(box), box.damaged_total) == ([(300, 800)], 3)


async def test_a_loss_at_the_front_begins_with_what_kinesis_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 1)  # a file for each commit
    batch = records(6)
    async with committing(spool(tmp_path)) as box:
        await received(box, batch[:2])
        acknowledge(box, 2)
        await committed(box, [])
        await received(box, batch[2:], 3)
    for path in sorted(tmp_path.glob("*.spool"))[:-2]:
        path.write_bytes(b"\xff" * 100)  # no mark is left of the time before
    async with committing(spool(tmp_path)) as box:
        assert waiting(box) == content(batch[4:])
        assert (lost(box), box.damaged_total) == ([(200, 600)], 2)


async def test_what_a_full_disk_did_not_take_is_told_by_the_next_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    batch, fails = records(6), [False]
    synced: dict[int, int] = {}

    def fdatasync(file: int) -> None:
        found = os.fstat(file)
        if fails[0]:
            os.ftruncate(file, synced.get(found.st_ino, 0))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        synced[found.st_ino] = found.st_size

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    async with committing(spool(tmp_path)) as box:
        await received(box, batch[:2])
        fails[0] = True
        await received(box, batch[2:4], 3)
        fails[0] = False
        await received(box, batch[4:], 5)
        assert box.outbox.depth == 6
    async with committing(spool(tmp_path)) as box:
        assert waiting(box) == content(batch[:2] + batch[4:])
        assert (lost(box), box.damaged_total) == ([(200, 600)], 2)


async def test_who_is_killed_before_a_loss_is_told_leaves_it_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 1_000)
    batch = records(8, size=1_000)
    async with committing(spool(tmp_path, memory_bytes=0)) as box:
        await received(box, batch)
        damage(tmp_path / "000000000003.spool", batch[2].data)
        acknowledge(box, 8)
        await committed(box, [], [], mark=Mark("e1", 900))
        assert (box.outbox.stored_until, box.damaged_total) == (8, 1)
        assert box.stored_mark == Mark("e1", 200)
    async with committing(spool(tmp_path)) as box:
        assert (lost(box), box.damaged_total) == ([(200, 400)], 1)
        assert waiting(box) == content(batch[3:])


async def test_a_heartbeat_says_nothing_of_the_time_of_a_loss_that_it_does_not_know(
    tmp_path: Path,
):
    batch = records(4, size=1_000)
    async with committing(spool(tmp_path, memory_bytes=0)) as box:
        await received(box, batch)
        damage(tmp_path / "000000000001.spool", batch[2].data)
        acknowledge(box, 4)
        await committed(box, [])
        assert box.stored_mark == Mark("e1", 200)
        lost(box)
        await committed(box, records(1), mark=Mark("e2", 500))
        assert box.stored_mark == Mark("e1", 200)
        acknowledge(box, 1)
        await committed(box, [])
        assert box.stored_mark == Mark("e2", 500)


async def test_a_loss_that_a_mark_knows_is_not_told_again(tmp_path: Path):
    batch = records(4, size=1_000)
    async with committing(spool(tmp_path, memory_bytes=0)) as box:
        await received(box, batch)
        damage(tmp_path / "000000000001.spool", batch[2].data)
        acknowledge(box, 4)
        lost(box)
        await committed(box, [], mark=Mark("e1", 500))
    async with committing(spool(tmp_path)) as box:
        assert (lost(box), box.damaged_total, waiting(box)) == ([], 0, [])


async def test_a_file_stays_until_a_mark_calls_its_records_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 1)
    async with committing(spool(tmp_path)) as box:
        await received(box, records(4))
        write = segments.Segments.write

        def killed(itself: segments.Segments, entries: list[bytes]) -> object:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(segments.Segments, "write", killed)
        acknowledge(box, 3)
        await committed(box, [])
        monkeypatch.setattr(segments.Segments, "write", write)
    async with committing(spool(tmp_path)) as box:
        assert (waiting(box), box.damaged_total) == (content(records(4)), 0)


async def test_a_bad_place_costs_what_is_there_and_the_file_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    batch = records(12, size=30_000)
    (path,) = await filled(tmp_path, batch, files=1)
    offset = path.read_bytes().index(batch[5].data)
    unreadable(
        monkeypatch,
        lambda name, length, at: name == str(path) and at <= offset < at + length,
    )
    async with committing(spool(tmp_path)) as box:
        found, missing = waiting(box), box.damaged_total
        assert found == [x for x in content(batch) if x in found]
        assert (len(found) + missing, 1 <= missing <= 4) == (12, True)
        ((from_ns, to_ns),) = lost(box)
        assert from_ns <= 500
        assert to_ns is not None
        assert to_ns >= 600
    (kept,) = (tmp_path / DAMAGED_FOLDER).glob("*")
    assert kept.samefile(path)


async def test_a_bad_place_in_the_newest_file_is_since_when_nothing_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    batch = records(6)
    _, second = await filled(tmp_path, batch, files=2)
    unreadable(monkeypatch, lambda name, *_: name == str(second))
    async with committing(spool(tmp_path)) as box:
        assert (waiting(box), box.mark) == (content(batch[:3]), Mark("e1", 300))
        assert (lost(box), box.damaged_total) == ([], 0)
    assert [x.name for x in (tmp_path / DAMAGED_FOLDER).glob("*")] == [second.name]


async def test_what_was_told_as_lost_is_not_taken_for_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    batch = records(4, size=1_000)
    async with committing(spool(tmp_path, memory_bytes=0)) as box:
        await received(box, batch)
        with monkeypatch.context() as once:
            unreadable(once, lambda _, __, offset: offset == 0)
            acknowledge(box, 1)
        assert list(box.payloads(0.0)) == [record.data for record in batch[1:]]


async def test_a_disk_that_cannot_be_read_asks_for_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    await filled(tmp_path, records(100, size=90_000), files=1)
    with monkeypatch.context() as failing:
        unreadable(failing, lambda name, *_: name.endswith(".spool"))
        with pytest.raises(FixSetup, match=r"Input/output error.*move the folder away"):
            spool(tmp_path)
    box = spool(tmp_path)
    assert (len(waiting(box)), box.damaged_total) == (100, 0)
    box.close()


def test_a_file_that_may_not_be_read_asks_for_a_person(tmp_path: Path):
    (tmp_path / "000000000001.spool").mkdir()
    with pytest.raises(FixSetup, match="Make it readable"):
        spool(tmp_path)
