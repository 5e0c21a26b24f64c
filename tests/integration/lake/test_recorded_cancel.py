"""The cancel of a real day, nine hours after its trade: bar, features, statistics."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from conf.lake.tables import BARS, CORRECTIONS, FEATURES, TRADES
from conf.market.rfc3339 import parse_ns
from gold.corrected import count_effective
from silver.built_bars import moment
from tests.integration.lake.scripted import Lake, Script, lineage
from tests.integration.lake.test_minutes import newest
from tests.integration.test_recorded_trades import TICKS, read

DAY = "2018-01-03-taq-XXX"
MINUTE = datetime(2018, 1, 3, 13, 51, tzinfo=UTC)
BEGIN, END = MINUTE - timedelta(minutes=40), MINUTE + timedelta(minutes=20)
LAST = timedelta(minutes=1)
CANCELLED_SHARES = 127_300

pytestmark = pytest.mark.skipif(
    not (TICKS / DAY).is_dir(),
    reason="no recordings: TICKHOUSE_DATA names the folder that holds ticks",
)


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path)
    yield lake
    lake.fence.release()


def trade_row(message):
    event_time_ns = parse_ns(message["t"])
    event_time = moment(event_time_ns)
    return {
        "event_time": event_time,
        "symbol": message["S"],
        "event_time_ns": event_time_ns,
        "exchange": message["x"],
        "trade_id": message["i"],
        "price": message["p"],
        "size": message["s"],
        "conditions": message["c"],
        "tape": message["z"],
        "day": event_time.date(),
    } | lineage(event_time)


def statistics(lake):
    """Return trades, shares and corrections of the minute, counted anew."""
    found = lake.rows(CORRECTIONS)
    matched = [row for row in found if row["match_state"] == "matched"]
    counted = count_effective(
        pa.Table.from_pylist(lake.rows(TRADES), schema=TRADES.schema),
        pa.Table.from_pylist(matched, schema=CORRECTIONS.schema),
        [("XXX", MINUTE)],
    )
    sums = [
        sum(row[name] for row in counted.partials) for name in ("trade_count", "volume")
    ]
    return *sums, counted.corrections["XXX", MINUTE]


def cancelled(lake, conditions=None):
    """Live through the day; return statistics and rows before the cancel and after."""
    messages = read(DAY)
    (cancel,) = (m for m in messages if m["T"] == "x")
    cancelled_at = moment(parse_ns(cancel["t"]))
    trades = [trade_row(m) for m in messages if m["T"] == "t"]
    lived = [row for row in trades if BEGIN <= row["event_time"] < END]
    meant = next(row for row in lived if row["trade_id"] == cancel["i"])
    meant["conditions"] = conditions or meant["conditions"]
    minutes, script = lake.start(), Script(seed=0)
    lake.append(TRADES, lived)
    minutes.look()
    minutes.look()
    before = statistics(lake), told(lake, BARS), told(lake, FEATURES)
    script.amend(meant, cancelled_at, {})["exchange"] = meant["exchange"]
    lake.correct(trades, script.corrections)
    lake.append(TRADES, [r for r in trades if r["event_time"] > cancelled_at])
    minutes.look()
    minutes.look()
    return before, (statistics(lake), told(lake, BARS), told(lake, FEATURES))


def told(lake, contract):
    """Return the rows of the minutes before the last, which closes later."""
    rows = [row for row in lake.rows(contract) if row["window_start"] < END - LAST]
    return sorted(rows, key=lambda row: (row["window_start"], row["revision"]))


def starts(rows, revision):
    return {row["window_start"] for row in rows if row["revision"] == revision}


def test_the_minutes_statistics_lose_the_trade_and_nothing_else_changes(lake):
    before, after = cancelled(lake)

    assert before[0] == (2, CANCELLED_SHARES + 50, 0)
    assert after[0] == (1, 50, 1)
    # Neither of the minute's prints sets a price: it has no bar, before and after.
    assert MINUTE not in starts(before[1], 0)
    assert after[1] == before[1]
    assert after[2] == before[2]


def test_had_it_set_the_price_its_bar_and_the_features_after_it_would_follow(lake):
    before, after = cancelled(lake, conditions=[" ", "T"])

    bars, features = (newest(rows, "window_start") for rows in after[1:])
    (was,) = (row for row in before[1] if row["window_start"] == MINUTE)
    assert (was["close"], was["volume"]) == (157.04, CANCELLED_SHARES + 50)
    assert (bars[MINUTE,]["revision"], bars[MINUTE,]["close"]) == (1, None)
    assert starts(after[1], 1) == {MINUTE}
    assert features[MINUTE,]["bar_count"] == 0
    # Before it nothing is restated; after it, what had read it.
    assert starts(after[2], 1) == {s for s in starts(before[2], 0) if s >= MINUTE}
    assert after[0] == (1, 50, 1)
