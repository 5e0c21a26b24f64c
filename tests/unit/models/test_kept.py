"""A kill in the middle of a writing costs what was being written, and no more."""

import fcntl
import json
import os
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.errors import FixSetup
from models import kept
from models.traces import Found, Trace, load, save

ROWS = [{"seed": 0, "sharpe": 0.25}, {"seed": 1, "name": "ä\n"}, {"seed": 2}]


def trace() -> Trace:
    values, told = np.linspace(0, 1, 50), np.ones(50, np.bool_)
    return Trace(values, values, told, told, values)


def test_a_file_is_the_old_one_until_the_new_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "new" / "file"
    kept.write(path, b"old")

    def power_fails(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", power_fails)
        with pytest.raises(KeyboardInterrupt):
            kept.write(path, b"new and longer")
    assert path.read_bytes() == b"old"
    kept.write(path, b"new")
    assert path.read_bytes() == b"new"


@given(data=st.data())
def test_a_line_that_was_cut_off_costs_itself_alone(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
):
    path = tmp_path_factory.mktemp("kept") / "rows.jsonl"
    assert list(kept.lines(path)) == []
    kept.append(path, ROWS[:2])
    kept.append(path, ROWS[2:])
    assert list(kept.lines(path)) == ROWS
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    left = whole[:cut].count(b"\n")
    assert list(kept.lines(path)) == ROWS[:left]
    kept.append(path, ROWS[left:])
    assert path.read_bytes() == whole


def test_a_spoilt_line_is_named(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"seed": 0}\n{"se\n{"seed": 2}\n')
    with pytest.raises(FixSetup, match=r"rows\.jsonl, line 2: no JSON"):
        list(kept.lines(path))


@pytest.mark.parametrize("left", [0, 1, 200, 1_500, -60, -1])
def test_broken_traces_are_named_and_none(left: int, tmp_path: Path):
    path, told = tmp_path / "seed.npz", list[str]()
    assert load(path, told.append) is None
    save(path, Found([trace(), trace()], 1.5))
    whole = path.read_bytes()
    again, _ = (load(path, told.append) or Found([], 0)).traces
    assert np.array_equal(again.returns, trace().returns)
    assert told == []
    path.write_bytes(whole[:left])
    assert load(path, told.append) is None
    assert told[0].startswith(f"{path} is broken")


def test_traces_with_a_bit_that_flipped_are_none(tmp_path: Path):
    path, told = tmp_path / "seed.npz", list[str]()
    save(path, Found([trace()], 1.5))
    data = bytearray(path.read_bytes())
    data[300] ^= 1
    path.write_bytes(data)
    assert load(path, told.append) is None
    assert "CRC" in told[0]


def test_who_adds_waits_for_another_who_does(tmp_path: Path):
    path = tmp_path / "trials.jsonl"
    kept.append(path, ROWS[:1])
    adding = Thread(target=kept.append, args=(path, ROWS[2:]))
    with path.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        adding.start()
        adding.join(0.2)
        assert adding.is_alive()
        other.write(json.dumps(ROWS[1]).encode() + b"\n")
    adding.join(30)
    assert list(kept.lines(path)) == ROWS
