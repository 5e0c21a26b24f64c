from collections import deque
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from conf.settings import StorageSettings
from infra.local.state import DiskStatus, ProcessStatus, RunStatus, StageStatus
from infra.local.view import one_line, open_screen, saved

STORAGE = StorageSettings()
STATUS = RunStatus(
    state="live",
    pid=1,
    since=1000.0,
    updated=1000.0 + 3723,
    processes=[
        ProcessStatus("producer", "live", 2, rss_mb=80, restarts=2),
        ProcessStatus("lake", "live", 3, rss_mb=1900),
    ],
    stages=[
        StageStatus("producer", "live", 512.4, 0.1, 0.02, 1_000_000),
        StageStatus("gold", "live", 40.0, 2.5, 3.4, 4321),
    ],
    disk=DiskStatus(0.42, 120, "ok"),
    url="http://127.0.0.1:8001",
    ui_url="http://127.0.0.1:4041",
)


def _shown(*, terminal: bool) -> str:
    out = StringIO()
    console = Console(file=out, force_terminal=terminal, width=100)
    with open_screen(console, Path("var/logs"), STORAGE) as screen:
        screen.show(STATUS, deque(["first gold row after 21 s"]))
    return out.getvalue()


def test_terminal_shows_every_stage_and_where_to_look():
    shown = _shown(terminal=True)
    for expected in (
        "first gold row after 21 s",
        "producer",
        "512",
        "3.4 s",
        "4,321",
        "restarted 2 times",
        "page http://127.0.0.1:8001",
        "http://127.0.0.1:4041",
        "var/logs",
        "Ctrl-C",
        "0.4 of 10 GB",
    ):
        assert expected in shown


def test_without_a_terminal_there_is_one_plain_line():
    lines = _shown(terminal=False).splitlines()
    assert lines == [
        "1:02:03  first gold row after 21 s",
        "1:02:03  live · producer 512/s in 0.0 s · gold 40/s in 3.4 s · "
        "memory 1,980 MB (producer 80, lake 1,900) · disk 0.4 of 10 GB, 120 GB free",
    ]


@pytest.mark.parametrize(("seconds", "lines"), [(9.0, 1), (10.0, 2)])
def test_plain_lines_are_ten_seconds_apart(seconds: float, lines: int):
    out = StringIO()
    later = RunStatus("live", since=STATUS.since, updated=STATUS.updated + seconds)
    with open_screen(Console(file=out, width=20), Path("logs"), STORAGE) as screen:
        screen.show(STATUS, deque())
        screen.show(later, deque())
    assert len(out.getvalue().splitlines()) == lines


def test_paused_disk_is_told():
    paused = RunStatus("live", disk=DiskStatus(1, 1, "over_budget"))
    assert "(over budget)" in one_line(paused, STORAGE)


def test_what_was_saved_counts_the_layers_only():
    assert saved(STATUS) == "saved gold 4,321 rows"
    assert saved(RunStatus("stopped")) == "saved nothing new"
