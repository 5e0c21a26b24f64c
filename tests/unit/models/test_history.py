"""Recorded bars become a tape that knows nothing of the future."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.errors import FixSetup
from models.history import Bars, proves_honest, read_bars, study_of_bars, tape_of

HOURS_A_DAY = 7


def recorded(path: Path, days: int = 60) -> Path:
    """Write made-up hourly bars."""
    rng = np.random.default_rng(3)
    count = days * HOURS_A_DAY
    close = 50 * np.exp(np.cumsum(rng.normal(0, 4e-3, count)))
    first = datetime(2020, 1, 6, 14, 30, tzinfo=UTC)
    times = [
        first + timedelta(days=n // HOURS_A_DAY, hours=n % HOURS_A_DAY)
        for n in range(count)
    ]
    columns = {
        "timestamp": pa.array(times, pa.timestamp("us", "UTC")),
        "open": close * (1 + rng.normal(0, 1e-4, count)),
        "close": close,
        "volume": rng.integers(1_000, 9_000, count),
    }
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture
def bars(tmp_path: Path) -> Bars:
    return read_bars(recorded(tmp_path / "hours.parquet"))


def test_a_decision_is_filled_at_the_next_open(bars: Bars):
    tape = tape_of(bars, spread_bps=10, days_a_session=21)
    assert tape.mark.tobytes() == bars.close.tobytes()
    assert (tape.bid + tape.ask)[:-1] / 2 == pytest.approx(bars.open[1:])
    assert np.log(tape.ask / tape.bid)[:-1] == pytest.approx(1e-3, rel=1e-3)
    assert np.isnan(tape.bid[-1])
    assert len(np.unique(tape.session)) == 60


def test_indicators_of_60_bars_warm_up_in_a_long_session(bars: Bars):
    short, long = tape_of(bars, 10, 1).features, tape_of(bars, 10, 21).features
    return_1h = 3
    assert not short[:, return_1h].any()
    assert long[100:, return_1h].all()


def test_recorded_bars_do_not_look_ahead(bars: Bars):
    assert proves_honest(bars, 10, 21) == []


def test_the_same_bars_are_the_same_data_whatever_the_file_is_called(tmp_path: Path):
    path, copy = recorded(tmp_path / "AAPL.parquet"), tmp_path / "x.parquet"
    pq.write_table(pq.read_table(path), copy, compression="gzip")
    other = recorded(tmp_path / "other.parquet", days=61)
    first, again = (study_of_bars(p, spread, 5) for p, spread in ((path, 4), (copy, 2)))
    assert first.data == again.data != study_of_bars(other, 4, 5).data
    assert again.setting["file"] == "x.parquet"
    expected = hashlib.sha256(copy.read_bytes()).hexdigest()
    assert again.setting["file_sha256"] == expected
    assert (again.setting["spread_bps"], again.setting["session_days"]) == (2, 5)
    # The names of kept trainings hang on a plan's repr.
    plan = first.plan("ppo", 2, 2)
    assert plan.data == first.data
    assert first.data not in repr(plan)
    assert repr(plan).endswith("counts_by_session=False)")


def test_a_file_that_holds_no_bars_is_named(tmp_path: Path):
    with pytest.raises(FixSetup, match="no bars"):
        read_bars(tmp_path / "absent.parquet")
    pq.write_table(pa.table({"close": [1.0]}), tmp_path / "other.parquet")
    with pytest.raises(FixSetup, match="timestamp"):
        read_bars(tmp_path / "other.parquet")
