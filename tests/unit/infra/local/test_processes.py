from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.processes import Backoff, last_lines


def test_backoff_doubles_up_to_half_a_minute():
    backoff = Backoff()
    assert [backoff.after(up_s=5) for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]


def test_backoff_begins_anew_after_a_minute_up():
    backoff = Backoff()
    for _ in range(4):
        backoff.after(up_s=0)
    assert [backoff.after(up_s=60), backoff.after(up_s=0)] == [1, 2]


@given(st.lists(st.floats(min_value=0, max_value=1e6), max_size=30))
def test_backoff_stays_within_its_bounds(lives: list[float]):
    backoff = Backoff()
    waits = [backoff.after(up_s) for up_s in lives]
    assert all(1 <= wait <= 30 for wait in waits)
    assert all(
        wait == min(30, before * 2) or up_s >= 60
        for before, wait, up_s in zip(waits, waits[1:], lives[1:], strict=False)
    )


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ('{"event": "no route", "level": "error", "port": 1}', "no route port=1"),
        ("Traceback: plain text", "Traceback: plain text"),
        ("[1, 2]", "[1, 2]"),
    ],
)
def test_last_words_are_readable(tmp_path: Path, written: str, shown: str):
    log = tmp_path / "producer.log"
    log.write_text(f"older\n\n{written}\n")
    assert last_lines(log, count=1) == [shown]


def test_last_words_of_a_long_log_are_its_last_ones(tmp_path: Path):
    log = tmp_path / "lake.log"
    log.write_text("".join(f"line {n}\n" for n in range(10_000)))
    assert last_lines(log, count=2) == ["line 9998", "line 9999"]


def test_no_log_has_no_last_words(tmp_path: Path):
    assert last_lines(tmp_path / "none.log") == []
