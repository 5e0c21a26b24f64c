from pathlib import Path

import pytest

from conf.settings import StorageSettings
from infra.local.disk import DiskGuard, judge, used_bytes

BUDGET = StorageSettings(max_gb=10, min_free_gb=2)


@pytest.mark.parametrize(
    ("used_gb", "free_gb", "was_paused", "state"),
    [
        (10.0, 2.0, False, "ok"),
        (10.1, 2.0, False, "over_budget"),
        (0.0, 1.9, False, "paused"),
        (10.1, 1.9, False, "paused"),
        (0.0, 2.1, True, "paused"),
        (0.0, 2.3, True, "ok"),
    ],
)
def test_disk_is_judged(used_gb: float, free_gb: float, was_paused: bool, state: str):
    assert judge(used_gb, free_gb, BUDGET, was_paused=was_paused) == state


def test_used_counts_all_files_below(tmp_path: Path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "one").write_bytes(b"x" * 10)
    (tmp_path / "a" / "b" / "two").write_bytes(b"x" * 5)
    (tmp_path / "a" / "link").symlink_to(tmp_path, target_is_directory=True)
    assert 15 <= used_bytes(tmp_path) < 15 + 4096
    assert used_bytes(tmp_path / "none") == 0


def test_guard_reads_twice_a_minute_and_waits_for_room_to_spare(tmp_path: Path):
    free_gb = [3.0, 1.0, 2.1, 2.5]
    guard = DiskGuard(tmp_path, BUDGET, lambda _: int(free_gb.pop(0) * 1e9))
    readings = {second: guard.check(float(second)) for second in range(0, 120, 10)}
    assert {second: told.state for second, told in readings.items() if told} == {
        0: "ok",
        30: "paused",
        60: "paused",
        90: "ok",
    }
