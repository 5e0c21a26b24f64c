"""A smoke run changes the load and the place, and nothing else."""

from pathlib import Path

import pytest

from conf.settings import Settings, load
from infra.local.smoke import nominal_rate, prepared


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load().model_copy(update={"var": tmp_path})


def with_market(settings: Settings, **market: object) -> Settings:
    simulator = settings.simulator.model_copy(update=market)
    return settings.model_copy(update={"simulator": simulator})


def test_it_has_a_folder_of_its_own(settings: Settings):
    first, second = (prepared(settings, seconds=9, rate=500) for _ in range(2))
    assert first.var != second.var
    for chosen in (first, second):
        assert chosen.var.parent == settings.var / "smoke"
        assert Path(chosen.lake.root).parent == chosen.var
        assert Path(chosen.lake.checkpoints).parent == chosen.var
        assert chosen.simulator.truth_dir == chosen.var / "truth"


def test_the_market_has_faults_and_an_end(settings: Settings):
    chosen = prepared(settings, seconds=9, rate=500)
    assert chosen.simulator.stop_after_s == 9
    assert chosen.simulator.rate_per_s == 500
    assert chosen.simulator.late_share > 0.001
    assert chosen.emulator.duplicate_rate > 0.02


def test_a_replay_is_left_as_it_was_recorded(settings: Settings, tmp_path: Path):
    chosen = prepared(with_market(settings, replay=tmp_path), seconds=9, rate=500)
    assert chosen.simulator.stop_after_s is None
    assert chosen.simulator.late_share == 0
    assert chosen.emulator.duplicate_rate == 0


@pytest.mark.parametrize(
    ("rate", "shards"), [(1, 2), (4096, 2), (4097, 3), (8192, 4), (20_000, 10)]
)
def test_a_shard_takes_2048_messages_a_second(
    settings: Settings, rate: int, shards: int
):
    assert prepared(settings, seconds=9, rate=rate).kinesis.shards == shards


def test_the_rest_is_what_make_run_would_run(settings: Settings):
    chosen = prepared(settings, seconds=9, rate=500)
    for section in ("alpaca", "spark", "storage"):
        assert getattr(chosen, section) == getattr(settings, section)
    assert chosen.lake.engine == settings.lake.engine


def test_the_nominal_rate_counts_the_hot_symbol(settings: Settings, tmp_path: Path):
    assert nominal_rate(settings.simulator) == settings.simulator.rate_per_s
    hot = with_market(settings, hot_symbol="TSLA", hot_rate_per_s=1_000, rate_per_s=9)
    assert nominal_rate(hot.simulator) == 1_009
    replay = with_market(settings, replay=tmp_path, speed=2.0)
    assert nominal_rate(replay.simulator) is None
