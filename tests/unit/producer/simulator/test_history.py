import json

import pytest

from conf.market.rfc3339 import format_ns, parse_ns
from conf.settings import SimulatorSettings
from producer.simulator.history import BadQuery, History
from producer.simulator.market import Market
from producer.simulator.sessions import previous_session

START_NS = 1_795_398_612_345_678_901
SESSION = previous_session("always", START_NS)
QUERY = {"timeframe": "1Min", "symbols": "MSFT,AAPL"}


def test_the_session_is_390_whole_minutes_before_the_start():
    bars = History(7, SESSION).bars("AAPL")

    assert len(bars) == 390
    assert parse_ns(bars[-1].event_time) + 60 * 10**9 == SESSION[1] <= START_NS
    assert all(bar.low <= min(bar.open, bar.close) for bar in bars)
    assert all(bar.high >= max(bar.open, bar.close) for bar in bars)
    assert all(bar.low <= bar.vwap <= bar.high for bar in bars)


def test_the_last_close_meets_the_first_trade():
    settings = SimulatorSettings(rate_per_s=100)
    batch = next(Market(settings, ["AAPL"]).batches(START_NS))
    first = next(text for text in batch.texts if b'"T":"t"' in text)

    last_close = History(7, SESSION).bars("AAPL")[-1].close

    assert json.loads(first)["p"] == pytest.approx(last_close, rel=0.002)


def test_the_seed_decides():
    assert History(7, SESSION).bars("KO") == History(7, SESSION).bars("KO")
    assert History(7, SESSION).bars("KO") != History(8, SESSION).bars("KO")


def test_nyse_history_is_the_session_before():
    monday_ns = parse_ns("2026-11-30T14:45:00Z")

    opened_ns, closed_ns = previous_session("nyse", monday_ns)

    assert format_ns(opened_ns) == "2026-11-27T14:30:00Z"
    assert format_ns(closed_ns) == "2026-11-27T18:00:00Z"


def test_pages_hold_every_bar_once():
    history = History(7, SESSION)
    token, pages = "", []
    while token is not None:
        page = history.page(QUERY | {"limit": "300", "page_token": token})
        pages.append(page["bars"])
        token = page["next_page_token"]

    assert [sorted(page) for page in pages] == [["AAPL"], ["AAPL", "MSFT"], ["MSFT"]]
    for symbol in "AAPL", "MSFT":
        times = [bar["t"] for page in pages for bar in page.get(symbol, [])]
        assert times == [bar.event_time for bar in history.bars(symbol)]
    assert sorted(pages[0]["AAPL"][0]) == sorted(
        ["t", "o", "h", "l", "c", "v", "n", "vw"]
    )


def test_start_and_end_are_inclusive():
    opened_ns = SESSION[0]
    query = QUERY | {
        "start": format_ns(opened_ns + 60 * 10**9),
        "end": format_ns(opened_ns + 120 * 10**9).replace("Z", "+00:00"),
    }

    bars = History(7, SESSION).page(query)["bars"]

    assert [len(bars[symbol]) for symbol in sorted(bars)] == [2, 2]


@pytest.mark.parametrize(
    "wrong",
    [
        {"symbols": ""},
        {"timeframe": "1Day"},
        {"start": "yesterday"},
        {"limit": "many"},
        {"page_token": "!"},
    ],
)
def test_a_wrong_query_is_refused(wrong: dict[str, str]):
    with pytest.raises(BadQuery):
        History(7, SESSION).page(QUERY | wrong)
