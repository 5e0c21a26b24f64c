"""The calendar says when a silent feed is no fault."""

import pytest

from conf.market.rfc3339 import parse_ns
from conf.settings import AlpacaSettings, Settings
from producer.history_process import HistoryProcess
from producer.trading_hours import TradingHours

FRIDAY = parse_ns("2026-11-27T15:00:00Z")  # the day after Thanksgiving


@pytest.fixture
def hours(tmp_path) -> TradingHours:
    settings = Settings(var=tmp_path, alpaca=AlpacaSettings(url="ws://127.0.0.1:1"))
    return TradingHours(HistoryProcess(settings))


def test_it_is_open_while_nobody_knows(hours: TradingHours):
    assert hours.is_open(parse_ns("2026-11-28T15:00:00Z"))


async def test_half_days_nights_and_weekends(hours: TradingHours):
    await hours.learn(FRIDAY)
    assert hours.is_open(FRIDAY)
    assert hours.is_open(parse_ns("2026-11-27T21:59:59Z"))
    assert not hours.is_open(parse_ns("2026-11-27T22:00:00Z"))  # 17:00 in New York
    assert not hours.is_open(parse_ns("2026-11-28T15:00:00Z"))
    assert not hours.is_open(parse_ns("2026-11-30T08:59:59Z"))
    assert hours.is_open(parse_ns("2026-11-30T09:00:00Z"))
    assert hours.is_open(parse_ns("2026-12-06T15:00:00Z"))  # beyond what was asked
