import asyncio
import json
import threading
from pathlib import Path

import pytest

from producer.simulator import record
from producer.simulator.batch import Batch
from producer.simulator.missed import Interval


def batch(first: int, flags: str) -> Batch:
    due_ns = list(range(first, first + len(flags)))
    texts = [b'{"i":%d}' % ns for ns in due_ns]
    return Batch(due_ns, due_ns, flags, [("t", "A")] * len(flags), texts)


async def test_truth_holds_each_message_and_rolls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(record, "LINES_PER_FILE", 3)
    kept = record.Record(tmp_path / "truth")
    kept.add(batch(100, "nrn"), behind_ns=4_500_000)
    await kept.flush()
    kept.add(batch(200, "ol"), behind_ns=1)
    kept.add(batch(300, "m"), behind_ns=2)
    kept.close()

    files = sorted((tmp_path / "truth").glob("*.tsv"))

    assert [path.name for path in files] == ["messages-00001.tsv", "messages-00002.tsv"]
    assert files[0].read_bytes() == (
        b'100\tn\t{"i":100}\n101\tr\t{"i":101}\n102\tn\t{"i":102}\n'
    )
    assert files[1].read_bytes().count(b"\n") == 3
    assert json.loads((tmp_path / "truth/summary.json").read_text()) == {
        "emitted": 6,
        "repeated": 1,
        "out_of_order": 1,
        "late": 1,
        "malformed": 1,
        "missed": 0,
        "first_due_ns": 100,
        "last_due_ns": 300,
        "max_behind_ms": 4.5,
    }


def test_a_second_run_goes_on_in_a_new_file(tmp_path: Path):
    for _ in range(2):
        kept = record.Record(tmp_path)
        kept.add(batch(1, "n"), behind_ns=0)
        kept.close()

    assert len(list(tmp_path.glob("messages-*.tsv"))) == 2


def test_without_a_folder_only_the_counts_are_kept():
    kept = record.Record(None)
    kept.add(batch(1, "nnr"), behind_ns=0)
    kept.close()

    assert kept.emitted == 3
    assert kept.injected == {
        "repeated": 1,
        "out_of_order": 0,
        "late": 0,
        "malformed": 0,
    }


async def test_a_cancelled_flush_loses_nothing(tmp_path: Path):
    kept = record.Record(tmp_path)
    busy = threading.Event()
    kept._writer.submit(busy.wait)
    kept.add(batch(1, "nn"), behind_ns=0)
    flushing = asyncio.create_task(kept.flush())
    await asyncio.sleep(0)
    flushing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flushing
    busy.set()
    kept.close()

    assert (tmp_path / "messages-00001.tsv").read_bytes().count(b"\n") == 2


def test_missed_messages_have_files_of_their_own(tmp_path: Path):
    kept = record.Record(tmp_path)
    kept.keep([Interval("/v2/iex", "key", "trades", "A", "cut", 1, 9, 2, 3, 4)])
    kept.add_missed(batch(3, "nn"))
    kept.close()

    assert (
        tmp_path / "missed-00001.tsv"
    ).read_bytes() == b'3\tn\t{"i":3}\n4\tn\t{"i":4}\n'
    (line,) = (tmp_path / "missed.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "feed": "/v2/iex",
        "key": "key",
        "channel": "trades",
        "symbol": "A",
        "cause": "cut",
        "from_ns": 1,
        "to_ns": 9,
        "messages": 2,
        "first_due_ns": 3,
        "last_due_ns": 4,
    }
    assert kept.summary()["missed"] == 2
