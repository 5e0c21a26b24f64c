"""Seeds in processes of their own: one that fails, or Ctrl-C, ends them all."""

import fcntl
import io
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from multiprocessing import active_children
from pathlib import Path

import pytest
from rich.console import Console

from conf.errors import FixSetup
from models.watch import Watch
from models.workers import Workers

SEEDS = range(6)
LONG_S = 120
DEADLINE_S = 30


def hired(processes: int) -> tuple[Workers, io.StringIO]:
    told = io.StringIO()
    return Workers(Watch(Console(file=told, width=200)), processes), told


def square(seed: int, _: Watch) -> int:
    return seed * seed


def until_exists(path: Path) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not path.exists():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


def fate(folder: Path, end: str, seed: int, _: Watch) -> int:
    """Work for long, but for seed 0, which ends when seed 1 has begun."""
    (folder / str(seed)).touch()
    if seed:
        threading.Event().wait(LONG_S)
        return seed
    until_exists(folder / "1")
    if end == "fails":
        raise ValueError("no such weights")
    if end == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    return seed


def hold(folder: Path, seed: int, _: Watch) -> None:
    """Hold a lock for as long as the process lives."""
    with (folder / f"lock{seed}").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        (folder / f"held{seed}").touch()
        threading.Event().wait(LONG_S)


def begun(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("processes", [1, 2])
def test_what_each_seed_found_is_kept(processes: int):
    workers, told = hired(processes)
    found: dict[int, int] = {}
    workers.each(square, SEEDS, found.__setitem__)
    assert found == {seed: seed * seed for seed in SEEDS}
    assert told.getvalue().count(" trained, ") == len(SEEDS)
    assert "6 of 6" in told.getvalue()


def test_a_seed_that_fails_ends_the_others(tmp_path: Path):
    workers, told = hired(2)
    since = time.monotonic()
    with pytest.raises(ValueError, match="no such weights"):
        workers.each(partial(fate, tmp_path, "fails"), SEEDS, lambda *_: None)
    assert "seed 0 failed: no such weights" in told.getvalue()
    assert "stopped by ValueError: 0 of 6 are kept" in told.getvalue()
    assert_all_ended(since, tmp_path)


def test_ctrl_c_ends_the_others_and_what_was_kept_stays(tmp_path: Path):
    workers, told = hired(2)
    kept: list[int] = []

    def keep(seed: int, _: int) -> None:
        kept.append(seed)
        signal.raise_signal(signal.SIGINT)

    since = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        workers.each(partial(fate, tmp_path, "ends"), SEEDS, keep)
    assert kept == [0]
    assert "stopped by KeyboardInterrupt" in told.getvalue()
    assert_all_ended(since, tmp_path)


def test_a_process_that_is_killed_is_told_of(tmp_path: Path):
    workers, _ = hired(2)
    since = time.monotonic()
    with pytest.raises(FixSetup, match="was killed"):
        workers.each(partial(fate, tmp_path, "is killed"), SEEDS, lambda *_: None)
    assert_all_ended(since, tmp_path)


def assert_all_ended(since: float, folder: Path) -> None:
    assert time.monotonic() - since < DEADLINE_S
    assert active_children() == []
    assert begun(folder) < {str(seed) for seed in SEEDS}  # what was queued never began


def test_workers_end_with_who_started_them(tmp_path: Path):
    code = (
        "import sys, functools, pathlib\n"
        "from tests.integration.test_workers import hired, hold\n"
        "if __name__ == '__main__':\n"
        "    task = functools.partial(hold, pathlib.Path(sys.argv[1]))\n"
        "    hired(2)[0].each(task, range(2), print)\n"
    )
    script = tmp_path / "study.py"
    script.write_text(code)
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    study = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)], env=os.environ | paths
    )
    with study:
        for seed in range(2):
            until_exists(tmp_path / f"held{seed}")
        study.kill()
    for seed in range(2):
        with (tmp_path / f"lock{seed}").open("w") as file:
            deadline = time.monotonic() + DEADLINE_S
            while not is_free(file):
                assert time.monotonic() < deadline
                threading.Event().wait(0.02)


def is_free(file: io.TextIOWrapper) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
