import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conf.errors import FixSetup
from conf.settings import ROOT, Settings
from infra.local import leash, process_table, run, state
from infra.local.disk import DiskGuard
from infra.local.processes import Backoff
from infra.local.run import Pipeline
from tests.integration import supervised
from tests.integration.supervised import (
    DEAF,
    FAILS,
    NEVER_READY,
    PARENT,
    START_ORDER,
    events,
    service,
    table,
)


def until(reached: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(var=tmp_path)


def test_processes_start_in_order_and_drain_in_the_order_of_the_flow(
    settings: Settings, tmp_path: Path
):
    pipeline = Pipeline(settings, table(tmp_path))
    pipeline.start()
    assert events(tmp_path, "started") == list(START_ORDER)
    assert pipeline.alive()
    pids = [pipeline.pid(name) for name in START_ORDER]
    pipeline.drain()
    assert events(tmp_path, "drained") == ["simulator", "producer", "lake", "emulator"]
    assert not pipeline.alive()
    assert [process_table.identity(pid) for pid in pids] == [None] * 4


def test_each_waits_until_the_one_before_is_ready(settings: Settings, tmp_path: Path):
    gate = tmp_path / "gate"
    slow = service(tmp_path, "emulator", ready=gate.exists, state_file=None)
    pipeline = Pipeline(settings, [slow, service(tmp_path, "simulator")])
    with pipeline:
        pipeline.launch()
        until(lambda: events(tmp_path, "started") == ["emulator"])
        until(lambda: (pipeline.status.updated or 0) > (pipeline.status.since or 0) + 1)
        assert events(tmp_path, "started") == ["emulator"]
        gate.touch()
        until(pipeline.alive)
    assert events(tmp_path, "started") == ["emulator", "simulator"]


def test_nothing_waits_for_what_is_not_awaited(settings: Settings, tmp_path: Path):
    slow = service(tmp_path, "api", NEVER_READY, awaited=False)
    with Pipeline(settings, [slow, *table(tmp_path)]) as pipeline:
        pipeline.start()
        until(lambda: events(tmp_path, "started") == list(START_ORDER))
        assert pipeline.pid("api")
        assert not pipeline.alive()


def test_what_dies_is_started_again(settings: Settings, tmp_path: Path):
    with Pipeline(settings, table(tmp_path)) as pipeline:
        pipeline.start()
        first = pipeline.pid("producer")
        pipeline.kill("producer")
        until(lambda: events(tmp_path, "started").count("producer") == 2)
        until(pipeline.alive)
        assert pipeline.pid("producer") != first
        until(lambda: pipeline.status.processes[3].restarts == 1)
    assert "producer died (SIGKILL), restart in 1 s" in pipeline.notices


def test_restart_drains_first_and_leaves_the_others_alone(
    settings: Settings, tmp_path: Path
):
    with Pipeline(settings, table(tmp_path)) as pipeline:
        pipeline.start()
        before = {name: pipeline.pid(name) for name in START_ORDER}
        pipeline.restart("lake")
        assert events(tmp_path, "drained") == ["lake"]
        after = {name: pipeline.pid(name) for name in START_ORDER}
    assert {name for name in START_ORDER if before[name] != after[name]} == {"lake"}


def test_paused_process_stays_down_until_it_is_resumed(
    settings: Settings, tmp_path: Path
):
    with Pipeline(settings, table(tmp_path)) as pipeline:
        pipeline.start()
        pipeline.pause("lake")
        with pytest.raises(ProcessLookupError):
            pipeline.pid("lake")
        pipeline.resume("lake")
        assert pipeline.alive()


@pytest.mark.parametrize("code", [2, 3])
def test_wrong_setup_is_final_and_says_why(
    settings: Settings, tmp_path: Path, code: int
):
    processes = table(tmp_path)
    processes[2] = service(tmp_path, "lake", FAILS.format(code=code))
    with pytest.raises(FixSetup, match="no such stream") as refused:
        Pipeline(settings, processes).start()
    assert "lake" in str(refused.value)
    assert str(state.log_file(settings, "lake")) in str(refused.value)
    assert events(tmp_path, "drained") == ["simulator", "emulator"]
    assert "producer" not in events(tmp_path, "started")


def test_what_is_not_vital_stays_down_and_the_others_go_on(
    settings: Settings, tmp_path: Path
):
    broken = service(
        tmp_path, "quality", FAILS.format(code=3), vital=False, awaited=False
    )
    with Pipeline(settings, [*table(tmp_path), broken]) as pipeline:
        pipeline.start()
        until(lambda: any("given up" in told for told in pipeline.notices))
        assert pipeline.alive()
    assert len(events(tmp_path, "drained")) == len(START_ORDER)


def test_missed_deadline_names_process_log_and_last_words(
    settings: Settings, tmp_path: Path
):
    late = service(tmp_path, "lake", NEVER_READY, ready_within_s=0.5, drain_within_s=5)
    with pytest.raises(FixSetup) as refused:
        Pipeline(settings, [late]).start()
    for expected in ("lake", "not ready after 0.5 s", "still warming up", "lake.log"):
        assert expected in str(refused.value)


def test_a_state_that_an_earlier_process_left_does_not_count_as_ready(
    settings: Settings, tmp_path: Path
):
    late = service(tmp_path, "lake", NEVER_READY, ready_within_s=0.5)
    (tmp_path / "lake.ready").write_text("live")
    with pytest.raises(FixSetup, match="not ready"):
        Pipeline(settings, [late]).start()


def test_what_does_not_drain_is_killed_at_its_deadline(
    settings: Settings, tmp_path: Path
):
    deaf = service(tmp_path, "lake", DEAF, drain_within_s=0.3)
    pipeline = Pipeline(settings, [deaf])
    pipeline.start()
    pid = pipeline.pid("lake")
    pipeline.drain()
    assert process_table.identity(pid) is None
    assert "lake did not drain within 0.3 s, killed" in pipeline.notices


def test_stop_does_not_wait_for_a_drain(settings: Settings, tmp_path: Path):
    pipeline = Pipeline(settings, table(tmp_path))
    pipeline.start()
    pipeline.stop()
    assert events(tmp_path, "drained") == []
    assert run.status(settings).state == "not running"


def test_death_takes_along_what_the_process_started(settings: Settings, tmp_path: Path):
    with Pipeline(settings, [service(tmp_path, "lake", PARENT)]) as pipeline:
        pipeline.start()
        grandchild = int((tmp_path / "lake.ready").read_text())
        pipeline.kill("lake")
        until(lambda: process_table.identity(grandchild) is None)


def test_second_supervisor_is_refused(settings: Settings, tmp_path: Path):
    with Pipeline(settings, table(tmp_path)) as pipeline:
        pipeline.start()
        until(lambda: run.status(settings).state == "live")
        with pytest.raises(FixSetup, match=f"already running.* pid {os.getpid()}"):
            Pipeline(settings, table(tmp_path)).launch()
        with pytest.raises(FixSetup, match="already running"):
            run.reset(settings)
    again = Pipeline(settings, table(tmp_path))
    again.start()
    again.drain()


def test_little_room_pauses_ingestion_until_there_is_more(
    settings: Settings, tmp_path: Path
):
    room = tmp_path / "room"
    guard = DiskGuard(
        tmp_path, settings.storage, lambda _: 10**12 * room.exists(), every_s=0.1
    )
    with Pipeline(settings, table(tmp_path), guard) as pipeline:
        pipeline.start()
        until(lambda: run.status(settings).state == "live")
        states = {each.name: each for each in run.status(settings).processes}
        assert states["producer"].state == "paused"
        assert states["producer"].note == "paused: 0.0 GB free"
        assert states["lake"].state == "live"
        assert "producer" not in events(tmp_path, "started")
        room.touch()
        until(pipeline.alive)
        room.unlink()
        until(lambda: events(tmp_path, "drained") == ["producer"])
        disk = json.loads((tmp_path / "run" / "disk.json").read_text())
        assert disk["state"] == "paused"


def test_what_never_becomes_ready_is_not_started_for_ever(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Backoff, "FIRST_S", 0.01)
    broken = service(tmp_path, "lake", FAILS.format(code=1))
    with pytest.raises(FixSetup, match="died 4 times before it was ready"):
        Pipeline(settings, [broken]).start()


def test_first_gold_row_is_told_once(settings: Settings, tmp_path: Path):
    query = state.QueryStatus(rows=1, rows_total=1)
    told = state.LakeStatus(
        "live", ui_url="http://127.0.0.1:1", queries={"gold": query}
    )
    with Pipeline(settings, table(tmp_path)) as pipeline:
        pipeline.start()
        state.write(tmp_path / "run" / "lake.json", told)
        first_gold = tmp_path / "run" / "first_gold.json"
        until(first_gold.exists)
        until(lambda: run.status(settings).first_gold_s is not None)
    assert json.loads(first_gold.read_text())["seconds"] > 0
    assert sum("first gold row" in notice for notice in pipeline.notices) == 1
    assert pipeline.status.ui_url == "http://127.0.0.1:1"


@contextmanager
def supervisor(var: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A supervisor in a process of its own, once all its children are live."""
    child = subprocess.Popen(
        [sys.executable, "-m", supervised.__name__, str(var), *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        until(lambda: run.status(Settings(var=var)).state == "live")
        yield child
    finally:
        child.kill()
        child.communicate()


def child_pids(settings: Settings) -> list[int]:
    return [each.pid for each in run.status(settings).processes if each.pid]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux offers it")
def test_nothing_outlives_a_killed_supervisor(settings: Settings, tmp_path: Path):
    with supervisor(tmp_path) as parent:
        pids = child_pids(settings)
        assert len(pids) == 4
        parent.kill()
        parent.wait()
        until(lambda: all(process_table.identity(pid) is None for pid in pids))
    assert events(tmp_path, "drained") == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_run_drains_on_a_signal(settings: Settings, tmp_path: Path, number: int):
    with supervisor(tmp_path) as parent:
        pids = child_pids(settings)
        parent.send_signal(number)
        output, _ = parent.communicate(timeout=20)
    assert parent.returncode == 0
    assert "saved" in output.splitlines()[-1]
    assert events(tmp_path, "drained") == ["simulator", "producer", "lake", "emulator"]
    assert [process_table.identity(pid) for pid in pids] == [None] * 4


def test_second_signal_kills(settings: Settings, tmp_path: Path):
    with supervisor(tmp_path, "deaf") as parent:
        pids = child_pids(settings)
        parent.send_signal(signal.SIGINT)
        until(lambda: "producer" in events(tmp_path, "drained"))
        parent.send_signal(signal.SIGINT)
        parent.communicate(timeout=10)
    assert parent.returncode == 130
    assert events(tmp_path, "drained") == ["simulator", "producer"]
    assert [process_table.identity(pid) for pid in pids] == [None] * 4


def test_stop_drains_a_supervisor_that_runs_elsewhere(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with supervisor(tmp_path) as parent:
        run.stop(settings)
        parent.communicate(timeout=20)
    assert parent.returncode == 0
    assert len(events(tmp_path, "drained")) == 4
    assert "saved" in capsys.readouterr().out


def test_a_command_is_not_started_for_a_parent_that_is_gone():
    parent = str(os.getpid() + 1)
    started = subprocess.run(
        [sys.executable, str(Path(leash.__file__)), parent, "echo", "started"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (started.stdout, started.stderr) == ("", f"supervisor {parent} is gone\n")
    assert started.returncode == 1


def test_stop_kills_what_a_killed_supervisor_left_behind(
    settings: Settings, capsys: pytest.CaptureFixture[str]
):
    stray = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        left = state.ProcessStatus(
            "lake", "live", stray.pid, process_table.identity(stray.pid)
        )
        gone = state.RunStatus("live", pid=2**22 - 1, identity="-", processes=[left])
        state.write(state.run_folder(settings) / "supervisor.json", gone)
        run.stop(settings)
        assert stray.wait(timeout=20) == -signal.SIGKILL
    finally:
        stray.kill()
        stray.wait()
    assert "1 processes left behind were killed" in capsys.readouterr().out


def test_reset_removes_the_lake_and_keeps_the_jars(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for name in ("lake/bronze", "checkpoints", "kinesis", "truth", "logs", "jars"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_bytes(b"x" * 500_000)
    run.reset(settings)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["jars"]
    assert f"removed {tmp_path / 'kinesis'} (0.5 MB)" in capsys.readouterr().out
