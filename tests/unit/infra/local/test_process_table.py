import os
import subprocess
import sys

import pytest

from infra.local import process_table
from infra.local.process_table import Row


@pytest.mark.parametrize(
    ("clock", "seconds"),
    [("0:00.50", 0.5), ("01:02", 62), ("03:01:02", 10_862), ("2-00:00:01", 172_801)],
)
def test_cpu_time_of_ps_is_read(clock: str, seconds: float):
    assert process_table.ps_seconds(clock) == seconds


def test_usage_adds_up_the_tree_and_nothing_else():
    table = {
        1: Row(0, 1000, 1000),
        7: Row(1, 10, 1),
        8: Row(7, 20, 2),
        9: Row(8, 40, 4),
        10: Row(1, 80, 8),
    }
    assert process_table.usage(7, table) == (70, 7)


def test_a_process_that_is_gone_uses_nothing():
    assert process_table.usage(7, {1: Row(0, 1, 1)}) == (0, 0)


def test_usage_of_this_process_is_plausible():
    rss_mb, cpu_s = process_table.usage(os.getpid())
    assert rss_mb > 10
    assert cpu_s > 0


def test_identity_ends_with_the_process():
    child = subprocess.Popen([sys.executable, "-IS", "-c", "input()"], stdin=-1)
    try:
        first = process_table.identity(child.pid)
        assert first is not None
        assert process_table.identity(child.pid) == first
        assert process_table.identity(os.getpid()) != first
    finally:
        child.communicate()
    assert process_table.identity(child.pid) is None


def test_leftovers_of_another_identity_are_left_alone():
    child = subprocess.Popen(
        [sys.executable, "-IS", "-c", "input()"], stdin=-1, start_new_session=True
    )
    try:
        identity = process_table.identity(child.pid)
        assert process_table.kill_leftovers(child.pid, "another boot:1") == []
        assert process_table.kill_leftovers(child.pid, identity) == [child.pid]
    finally:
        child.kill()
        child.communicate()
