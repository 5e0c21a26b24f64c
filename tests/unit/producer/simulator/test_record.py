import json
from pathlib import Path

import pytest

from producer.simulator import record
from producer.simulator.batch import Batch


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
