"""A mute socket is found soon, and a quiet market is no mute socket."""

import gzip
import json
import os
import random
from pathlib import Path

import pytest

from conf.market.rfc3339 import parse_ns
from producer.patience import Patience

DATA = Path(
    os.environ.get("TICKHOUSE_DATA", Path(__file__).parents[4] / "shared" / "data")
)
UNKNOWN_S = 30.0


def after(times_s: list[float]) -> Patience:
    patience = Patience(UNKNOWN_S)
    patience.connected(times_s[0])
    for time_s in times_s:
        patience.heard(time_s)
    return patience


def test_nothing_seen_means_the_setting():
    assert after([0.0]).limit_s == UNKNOWN_S


def test_a_busy_feed_is_mute_after_15_s():
    assert after([n / 50 for n in range(1_000)]).limit_s == 15.0


def test_random_messages_are_expected_at_their_mean_distance():
    draw = random.Random(7)
    now_s, times_s = 0.0, []
    for _ in range(5_000):
        now_s += draw.expovariate(1 / 2.0)
        times_s.append(now_s)
    patience = after(times_s)
    assert patience.expected_s == pytest.approx(2.0, rel=0.15)
    assert patience.limit_s == 20 * patience.expected_s


def test_bars_that_come_together_each_minute_are_no_alarm():
    patience = after([60 * minute + n / 100 for minute in range(20) for n in range(24)])
    assert patience.limit_s > 120


def test_what_was_long_ago_is_forgotten():
    quiet = [10.0 * n for n in range(60)]
    busy = [600 + n / 10 for n in range(60 * 60 * 10)]
    assert after(quiet).limit_s > 90
    assert after(quiet + busy).limit_s < 20


def test_the_time_without_a_connection_was_no_silence():
    patience = after([n / 50 for n in range(1_000)])
    patience.connected(10_000.0)
    patience.heard(10_000.1)
    assert patience.limit_s == 15.0


@pytest.mark.parametrize("day", ["2018-01-02", "2018-01-03"])
def test_a_real_quiet_stock_raises_no_false_alarm_in_its_session(day: str):
    folder = DATA / "ticks" / f"{day}-taq-XXX"
    if not folder.exists():
        pytest.skip(f"no recording at {folder}: set TICKHOUSE_DATA")
    times_ns = sorted(
        parse_ns(json.loads(line)["t"])
        for path in folder.glob("*.jsonl.gz")
        for line in gzip.decompress(path.read_bytes()).splitlines()
    )
    opens_ns, closes_ns = parse_ns(f"{day}T14:30:00Z"), parse_ns(f"{day}T21:00:00Z")
    patience = Patience(UNKNOWN_S)
    alarms, last_s = 0, 0.0
    for time_ns in times_ns:
        now_s = time_ns / 1e9
        is_open = opens_ns <= time_ns < closes_ns
        alarms += is_open and now_s - last_s > patience.limit_s
        patience.heard(now_s)
        last_s = now_s
    assert alarms == 0
