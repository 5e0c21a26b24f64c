import collections
import hashlib
import itertools
import json
from collections.abc import Sequence

import numpy as np
import pytest

from conf.errors import FixSetup
from conf.market.rfc3339 import parse_ns
from conf.settings import DEFAULT_SYMBOLS, SimulatorSettings
from producer.simulator.batch import Batch
from producer.simulator.faults import FLAGS
from producer.simulator.market import Market

START_NS = 1_795_398_612_345_678_901
SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
SHARES = {
    "repeated_share": 0.02,
    "out_of_order_share": 0.01,
    "late_share": 0.001,
    "malformed_share": 0.002,
}

# pragma: allowlist nextline secret
GOLDEN = "7814fd2fe88a99401094606d78001e64c2ebe14d002b14d7d761846043ae4aa7"
"""SHA-256 of twenty seconds; a change needs its reason in the changelog."""

Sent = tuple[int, str, tuple[str, str], bytes]


def market(symbols: Sequence[str] = DEFAULT_SYMBOLS, **chosen: object) -> Market:
    return Market(SimulatorSettings(**chosen), symbols)


def messages(source: Market, seconds: float, start_ns: int = START_NS) -> list[Sent]:
    end_ns = start_ns + int(seconds * SECOND_NS)
    rows = itertools.chain.from_iterable(map(by_message, source.batches(start_ns)))
    return list(itertools.takewhile(lambda row: row[0] < end_ns, rows))


def by_message(batch: Batch) -> zip:
    return zip(batch.due_ns, batch.flags, batch.routes, batch.texts, strict=True)


@pytest.fixture(scope="module")
def two_minutes() -> list[Sent]:
    return messages(market(rate_per_s=400, **SHARES), 199)


def of_type(sent: list[Sent], *types: str) -> list[dict]:
    return [json.loads(text) for _, _, route, text in sent if route[0] in types]


def test_golden_bytes_of_a_seed():
    """What these four channels send must not change by what comes beside them."""
    told = hashlib.sha256()
    for due_ns, flag, route, text in messages(market(rate_per_s=400, **SHARES), 20):
        if route[0] in ("t", "q", "b", "u", ""):
            told.update(b"%d\t%b\t%b\n" % (due_ns, flag.encode(), text))

    assert told.hexdigest() == GOLDEN


def test_same_seed_settings_and_start_give_the_same_bytes():
    one, other = (messages(market(rate_per_s=300, **SHARES), 70) for _ in range(2))

    assert one == other


@pytest.mark.parametrize("change", [{"seed": 8}, {"rate_per_s": 301}])
def test_another_seed_or_rate_gives_other_bytes(change: dict[str, int]):
    chosen = {"seed": 7, "rate_per_s": 300}

    assert messages(market(**chosen), 2) != messages(market(**chosen | change), 2)


@pytest.mark.parametrize("rate", [1, 7, 500, 4_096, 20_000])
def test_every_whole_second_holds_the_rate_in_due_order(rate: int):
    sent = messages(market(rate_per_s=rate, **SHARES), 4)
    due_ns = [row[0] for row in sent]
    per_second = collections.Counter((ns - START_NS) // SECOND_NS for ns in due_ns)

    assert due_ns == sorted(due_ns)
    assert per_second == dict.fromkeys(range(4), rate)


def test_injected_counts_are_the_shares():
    sent = messages(market(rate_per_s=2_000, **SHARES), 30)
    flags = collections.Counter(row[1] for row in sent)

    for flag, share in zip(FLAGS[1:], SHARES.values(), strict=True):
        # the first batch has nothing to repeat yet
        assert flags[flag] == pytest.approx(share * len(sent), abs=15), flag


def test_delayed_messages_are_as_late_as_their_flag_says(two_minutes: list[Sent]):
    limits_s = {"n": (0.002, 0.02), "o": (1, 30.1), "l": (180, 21_601)}

    for due_ns, flag, route, text in two_minutes:
        if flag in limits_s and route[0] in "tq":
            shortest_s, longest_s = limits_s[flag]
            delay_s = (due_ns - parse_ns(json.loads(text)["t"])) / SECOND_NS
            assert shortest_s <= delay_s <= longest_s


def test_a_repeat_is_byte_identical_and_never_a_quote(two_minutes: list[Sent]):
    sent_ns: dict[bytes, int] = {}
    repeats = 0
    for due_ns, flag, route, text in two_minutes:
        if flag == "r":
            repeats += 1
            assert route[0] in "tbu"
            assert 0 < due_ns - sent_ns[text] < 5 * SECOND_NS
        sent_ns[text] = due_ns

    assert repeats > 1_000


def test_some_quotes_equal_the_one_before_them(two_minutes: list[Sent]):
    quotes = [row for row in two_minutes if row[2][0] == "q"]
    twins = [
        now
        for before, now in itertools.pairwise(two_minutes)
        if before[3] == now[3] and now[1] == "n"
    ]

    assert all(route[0] == "q" for _, _, route, _ in twins)
    assert len(twins) / len(quotes) == pytest.approx(0.005, abs=0.001)


def test_trade_ids_rise_per_symbol_and_exchange(two_minutes: list[Sent]):
    last: collections.Counter[tuple[str, str]] = collections.Counter()
    for message in of_type([r for r in two_minutes if r[1] != "r"], "t"):
        place = message["S"], message["x"]
        assert message["i"] == last[place] + 1
        last[place] = message["i"]

    assert len(last) == 24 * 8


def test_prices_lie_on_the_cent_and_quotes_around_the_trades(two_minutes: list[Sent]):
    prices = collections.defaultdict(list)
    for message in of_type(two_minutes, "t", "q"):
        for key in "p", "bp", "ap":
            if key in message:
                assert round(message[key] * 100) / 100 == message[key] > 0
        if "bp" in message:
            assert message["bp"] < message["ap"]
        else:
            prices[message["S"]].append(message["p"])

    for symbol, path in prices.items():
        assert 1 < max(path) / min(path) < 1.05, symbol


def test_odd_lots_and_tapes_show_in_the_conditions(two_minutes: list[Sent]):
    for message in of_type(two_minutes, "t"):
        assert message["c"][0] == ("@" if message["z"] == "C" else " ")
        assert ("I" in message["c"]) == (message["s"] < 100)


def test_types_are_shared_three_to_seven(two_minutes: list[Sent]):
    kinds = collections.Counter(row[2][0] for row in two_minutes)

    assert kinds["t"] / (kinds["t"] + kinds["q"]) == pytest.approx(0.3, abs=0.02)
    assert kinds["b"] >= 24 * 2


class Recount:
    """Bars by a second way: all trades of a minute, counted again for each bar."""

    def __init__(self) -> None:
        self.trades = collections.defaultdict(list)

    def add(self, message: dict) -> None:
        event_ns = parse_ns(message["t"])
        key = message["S"], event_ns // MINUTE_NS
        self.trades[key].append((event_ns, message))

    def bar(self, symbol: str, minute: int) -> dict:
        counted = [
            (event_ns, message)
            for event_ns, message in self.trades[symbol, minute]
            if not {"M", "Q"} & set(message["c"])
        ]
        priced = [
            (event_ns, message["p"], message["s"])
            for event_ns, message in sorted(counted, key=lambda each: each[0])
            if not {"I", "Z"} & set(message["c"])
        ]
        prices = [price for _, price, _ in priced]
        sizes = [size for _, _, size in priced]
        return {
            "o": prices[0],
            "h": max(prices),
            "l": min(prices),
            "c": prices[-1],
            "v": sum(message["s"] for _, message in counted),
            "n": len(counted),
            "vw": pytest.approx(np.average(prices, weights=sizes), abs=1e-6),
        }


def test_bars_equal_a_recount_of_the_trades_sent_before(two_minutes: list[Sent]):
    recount = Recount()
    kinds: collections.Counter[str] = collections.Counter()
    for due_ns, flag, (kind, symbol), text in two_minutes:
        message = {} if flag in "rm" else json.loads(text)
        if flag not in "rm" and kind == "t":
            recount.add(message)
        elif flag not in "rm" and kind in "bu":
            minute = parse_ns(message["t"]) // MINUTE_NS
            seconds = (due_ns - (minute + 1) * MINUTE_NS) / SECOND_NS
            found = {key: message[key] for key in ("o", "h", "l", "c", "v", "n", "vw")}

            assert found == recount.bar(symbol, minute)
            assert message.keys() - found.keys() == {"T", "S", "t"}
            assert 0 < seconds < 1 if kind == "b" else seconds % 60 > 30
            assert minute * MINUTE_NS > START_NS, "the first minute was not whole"
            kinds[kind] += 1

    assert kinds["b"] == 24 * 2
    assert kinds["u"] > 20


def test_a_trade_after_its_bar_is_owed_an_updated_bar(two_minutes: list[Sent]):
    last_mark_ns = max(due_ns for due_ns, _, route, _ in two_minutes if route[0] == "u")
    counted: dict[tuple[str, str], int] = {}
    reported: dict[tuple[str, str], int] = {}
    for due_ns, flag, (kind, symbol), text in two_minutes:
        if kind == "t" and flag != "r" and due_ns < last_mark_ns:
            message = json.loads(text)
            if not {"M", "Q"} & set(message["c"]):
                counted[symbol, message["t"][:16]] = due_ns
        elif kind in ("b", "u") and flag != "r":
            reported[symbol, json.loads(text)["t"][:16]] = due_ns

    assert len(reported) == 24 * 2
    assert [key for key in reported if counted[key] > reported[key]] == []


def test_a_symbol_bursts_far_above_its_mean():
    sent = messages(market(rate_per_s=4_096), 40)
    names = np.array([row[2][1] for row in sent])
    tenths = np.array([(row[0] - START_NS) // (SECOND_NS // 10) for row in sent])
    peaks = []
    for symbol in DEFAULT_SYMBOLS:
        counts = np.bincount(tenths[names == symbol], minlength=400)
        assert 40 * 50 < counts.sum() < 40 * 350, symbol
        peaks.append(counts.max() / counts.mean())

    assert max(peaks) > 8
    assert max(peaks) < 25


def test_the_hot_symbol_comes_on_top():
    hot = {"hot_symbol": "GME", "hot_rate_per_s": 1_000}
    sent = messages(market(DEFAULT_SYMBOLS[:20], rate_per_s=100, **hot), 10)
    names = collections.Counter(row[2][1] for row in sent)

    assert len(sent) == 11_000
    assert 10_000 <= names["GME"] < 10_200


def test_outside_nyse_hours_nothing_is_sent_but_the_last_bars():
    friday_ns = parse_ns("2026-11-27T17:58:30Z")  # closes early, at 18:00 UTC
    monday_ns = parse_ns("2026-11-30T14:30:00Z")
    source = market(rate_per_s=20, calendar="nyse")

    sent = messages(source, (monday_ns - friday_ns) / SECOND_NS + 5, friday_ns)
    closed = parse_ns("2026-11-27T18:00:00Z")
    after = [row for row in sent if closed <= row[0] < monday_ns]

    assert {row[2][0] for row in after} == {"b", "d"}
    assert after[-1][0] < closed + 5 * SECOND_NS
    assert sum(row[0] >= monday_ns for row in sent) == 100


def test_shares_that_leave_no_market_are_refused():
    with pytest.raises(FixSetup, match="simulator"):
        market(repeated_share=0.5, late_share=0.5)
