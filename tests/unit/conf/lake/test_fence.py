"""One writer at a time: leases in real files, held by real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

import pytest

from conf.errors import Fenced, FixSetup
from conf.lake.fence import Fence, open_fence
from conf.settings import ROOT

LONG_S, SHORT_S = 60.0, 1.0
_DRIVER = """
import sys
from conf.lake.fence import open_fence
open_fence(sys.argv[1], "silver", float(sys.argv[2]))
print("holds the lease", flush=True)
sys.stdin.read()
"""

Driver = subprocess.Popen[str]


@pytest.fixture
def lease(tmp_path: Path) -> Path:
    """The lease file that ``open_fence`` makes of the root ``tmp_path``."""
    return tmp_path / "_leases" / "silver.json"


@pytest.fixture
def fence(lease: Path) -> Iterator[Callable[..., Fence]]:
    """Make fences of one lake; their threads are gone when the test ends."""
    made = list[Fence]()

    def make(lease_s: float = LONG_S, on_lost=lambda _: None) -> Fence:
        made.append(Fence(lease, lease_s, on_lost))
        return made[-1]

    yield make
    for each in made:
        each.release()


@contextmanager
def driver(root: Path, lease_s: float) -> Iterator[Driver]:
    """Run another process that holds the lease until its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", _DRIVER, str(root), str(lease_s)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "holds the lease\n"
            yield process
        finally:
            process.kill()


def wait_for(condition: Callable[[], bool], deadline_s: float = 20) -> None:
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, f"still not true after {deadline_s} s"
        time.sleep(0.02)


def is_free_for(fence: Fence) -> bool:
    try:
        fence.acquire()
    except FixSetup:
        return False
    return True


def test_the_holder_may_commit_and_says_so_in_the_file(fence, lease):
    held = fence()
    held.acquire()

    with held.commit("silver.trades"), held.commit("silver.quotes"):
        pass
    assert f'"pid": {os.getpid()}' in lease.read_text()


def test_nobody_commits_without_a_lease(fence):
    with pytest.raises(Fenced, match="nobody"), fence().commit("silver.trades"):
        pytest.fail("committed")


def test_a_driver_is_refused_while_another_lives_and_is_told_its_pid(fence, tmp_path):
    with driver(tmp_path, LONG_S) as other:
        with pytest.raises(FixSetup, match=f"process {other.pid} writes this lake"):
            fence().acquire()
        with pytest.raises(FixSetup, match=f"process {other.pid} writes this lake"):
            open_fence(str(tmp_path), "silver", LONG_S)


def test_a_killed_driver_is_replaced_at_once(fence, tmp_path):
    with driver(tmp_path, LONG_S) as other:
        other.kill()
        other.wait()
        fence().acquire()


def test_a_released_lease_is_free_at_once(fence, tmp_path):
    first = fence()
    first.acquire()
    first.release()

    refused = pytest.raises(Fenced)
    with driver(tmp_path, LONG_S), refused, first.commit("silver.trades"):
        pytest.fail("committed")


def test_a_holder_renews_its_lease_before_it_expires(fence, tmp_path, lease):
    with driver(tmp_path, SHORT_S):
        first = lease.read_text()
        wait_for(lambda: lease.read_text() != first)
        with pytest.raises(FixSetup):
            fence(SHORT_S).acquire()


def test_a_replaced_holder_cannot_commit_and_is_told(fence):
    lost = SimpleQueue[Fenced]()
    # Within one process the lease may be taken over: the driver is started anew.
    first, second = fence(SHORT_S, lost.put), fence(SHORT_S)
    first.acquire()
    second.acquire()

    refused = pytest.raises(Fenced, match="lease 1 was replaced by 2")
    with refused, first.commit("silver.trades"):
        pytest.fail("committed")
    with second.commit("silver.trades"):
        pass
    assert "replaced by 2" in str(lost.get(timeout=20))


def test_a_stopped_driver_is_replaced_and_ends_when_it_wakes(fence, tmp_path):
    with driver(tmp_path, SHORT_S) as stopped:
        stopped.send_signal(signal.SIGSTOP)
        with pytest.raises(FixSetup, match=f"process {stopped.pid}"):
            fence(SHORT_S).acquire()
        successor = fence(SHORT_S)
        wait_for(lambda: is_free_for(successor))
        stopped.send_signal(signal.SIGCONT)
        # Waited for before its input is closed, which would end it in peace.
        assert stopped.wait(timeout=20) == 3
        _, complaint = stopped.communicate(timeout=20)

        assert "lease 1 was replaced by 2" in complaint
        with successor.commit("silver.trades"):
            pass


def test_a_holder_that_cannot_renew_is_told_to_stop(fence, lease):
    lost = SimpleQueue[Fenced]()
    fence(SHORT_S, lost.put).acquire()
    lease.write_text("no lease")

    assert "cannot be renewed" in str(lost.get(timeout=20))
    lease.unlink()


def test_commits_to_one_table_take_turns_and_to_two_tables_do_not(fence):
    held = fence()
    held.acquire()
    committed = SimpleQueue[str]()

    def commit(table: str) -> None:
        with held.commit(table):
            committed.put(table)

    with held.commit("silver.trades"):
        waiting = Thread(target=commit, args=["silver.trades"])
        waiting.start()
        commit("silver.quotes")
        assert committed.get(timeout=20) == "silver.quotes"
        waiting.join(timeout=0.1)
        assert waiting.is_alive()
    waiting.join(timeout=20)
    assert committed.get(timeout=20) == "silver.trades"


def test_a_root_that_cannot_hold_a_lease_is_refused():
    with pytest.raises(FixSetup, match="s3://bucket/lake is no local folder"):
        open_fence("s3://bucket/lake", "silver", LONG_S)
