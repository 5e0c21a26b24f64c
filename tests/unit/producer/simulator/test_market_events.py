"""Corrections, cancels, halts, price bands, day bars and extended hours."""

import collections
import itertools
import json

import pytest

from conf.errors import FixSetup
from conf.market.rfc3339 import parse_ns
from conf.settings import SimulatorSettings
from producer.simulator.batch import Batch
from producer.simulator.market import Market

START_NS = 1_795_398_612_345_678_901
SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
SYMBOLS = ["AAPL", "KO", "SPY", "BA"]
BUSY = {
    "rate_per_s": 300,
    "out_of_order_share": 0.02,
    "late_share": 0.002,
    "corrected_share": 0.01,
    "canceled_share": 0.01,
    "halt_every_s": 25.0,
    "halt_s": 20.0,
}

Sent = tuple[int, str, tuple[str, str], bytes]


def run(seconds: float, start_ns: int = START_NS, **chosen: object) -> list[Sent]:
    end_ns = start_ns + int(seconds * SECOND_NS)
    market = Market(SimulatorSettings(**chosen), SYMBOLS)
    rows = itertools.chain.from_iterable(map(rows_of, market.batches(start_ns)))
    return list(itertools.takewhile(lambda row: row[0] < end_ns, rows))


def rows_of(batch: Batch) -> zip:
    return zip(batch.due_ns, batch.flags, batch.routes, batch.texts, strict=True)


@pytest.fixture(scope="module")
def busy() -> list[Sent]:
    return run(290, **BUSY)


def of_type(sent: list[Sent], *types: str) -> list[dict]:
    return [json.loads(text) for _, _, route, text in sent if route[0] in types]


def test_the_same_seed_gives_the_same_bytes(busy: list[Sent]):
    assert run(290, **BUSY) == busy


def test_everything_is_in_due_order(busy: list[Sent]):
    due_ns = [row[0] for row in busy]

    assert due_ns == sorted(due_ns)
    assert {row[2][0] for row in busy} == set("tqbucxsld")


class Tape:
    """The trades that hold, by a second way: a dictionary that amendments change."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str, int], dict] = {}
        self.amended: collections.Counter[str] = collections.Counter()

    def add(self, message: dict) -> None:
        match message["T"]:
            case "t":
                self.held[message["S"], message["x"], message["i"]] = message
            case "x":
                found = self.held.pop((message["S"], message["x"], message["i"]))
                assert (found["p"], found["s"]) == (message["p"], message["s"])
                self._amend(found, message)
            case "c":
                self._correct(message)

    def _correct(self, message: dict) -> None:
        found = self.held.pop((message["S"], message["x"], message["oi"]))
        assert [found[key] for key in "psc"] == [
            message[key] for key in ("op", "os", "oc")
        ]
        assert message["ci"] > message["oi"]
        self.held[message["S"], message["x"], message["ci"]] = found | {
            "i": message["ci"],
            "p": message["cp"],
            "s": message["cs"],
            "c": message["cc"],
            "again": True,
        }
        self._amend(found, message)

    def _amend(self, found: dict, message: dict) -> None:
        age_s = (parse_ns(message["t"]) - parse_ns(found["t"])) / SECOND_NS
        assert 0 < age_s < 155
        self.amended[message["T"]] += 1
        self.amended["again"] += "again" in found

    def minute(self, symbol: str, minute: str) -> tuple[int, int, float, float]:
        """Return volume, trades, high and low of a minute."""
        trades = [
            trade
            for (name, _, _), trade in self.held.items()
            if name == symbol and trade["t"].startswith(minute)
            if not {"M", "Q"} & set(trade["c"])
        ]
        prices = [t["p"] for t in trades if not {"I", "Z"} & set(t["c"])]
        return sum(t["s"] for t in trades), len(trades), max(prices), min(prices)


def test_amendments_name_real_trades_and_restate_their_bars(busy: list[Sent]):
    tape, bars = Tape(), collections.Counter[str]()
    reported: dict[tuple[str, str], tuple] = {}
    for message in of_type(busy, *"tcxbu"):
        if message["T"] in "tcx":
            tape.add(message)
            continue
        key = message["S"], message["t"][:16]
        reported[key] = tuple(message[name] for name in ("v", "n", "h", "l"))
        assert reported[key] == tape.minute(*key)
        bars[message["T"]] += 1

    assert tape.amended["c"] == pytest.approx(870, abs=60)
    assert tape.amended["x"] == pytest.approx(870, abs=60)
    assert tape.amended["again"] > 20
    assert bars["b"] == 4 * 4
    assert bars["u"] > 10


def test_cancels_are_plain_or_errors(busy: list[Sent]):
    actions = collections.Counter(m["a"] for m in of_type(busy, "x"))

    assert actions.keys() == {"C", "E"}
    assert actions["C"] > actions["E"] > 50


def test_who_is_halted_does_not_trade_until_resumed(busy: list[Sent]):
    statuses = of_type(busy, "s")
    halts = []
    for halt, resume in zip(statuses[::2], statuses[1::2], strict=False):
        assert halt["S"] == resume["S"]
        codes = ("H", "T") if halt["z"] == "C" else ("2", "3")
        assert (halt["sc"], resume["sc"]) == codes
        start_ns, end_ns = parse_ns(halt["t"]), parse_ns(resume["t"])
        assert end_ns - start_ns == 20 * SECOND_NS
        halts.append((halt["S"], start_ns, end_ns))

    assert len(halts) >= 4
    for message in of_type(busy, "t", "q"):
        event_ns = parse_ns(message["t"])
        for symbol, start_ns, end_ns in halts:
            assert message["S"] != symbol or not start_ns <= event_ns < end_ns


def test_a_halt_is_told_when_it_begins_and_costs_no_rate(busy: list[Sent]):
    for due_ns, _, _, text in (row for row in busy if row[2][0] == "s"):
        assert 0 <= due_ns - parse_ns(json.loads(text)["t"]) < SECOND_NS // 100

    slots = [row for row in busy if row[2][0] in "tqbucx"]
    per_second = collections.Counter((row[0] - START_NS) // SECOND_NS for row in slots)
    assert set(per_second.values()) == {300}


def test_trades_lie_within_their_price_bands(busy: list[Sent]):
    bands: dict[str, dict] = {}
    for message in of_type(busy, "l", "t"):
        if message["T"] == "l":
            bands[message["S"]] = message
            assert message["i"] == "B"
        elif band := bands.get(message["S"]):
            assert band["d"] < message["p"] < band["u"]

    assert sorted(bands) == sorted(SYMBOLS)


def test_day_bars_are_the_minutes_so_far(busy: list[Sent]):
    minutes: dict[tuple[str, str], dict] = {}
    days = 0
    for message in of_type(busy, "b", "u", "d"):
        if message["T"] != "d":
            minutes[message["S"], message["t"]] = message
            continue
        days += 1
        assert message["t"] == "2026-11-23T00:00:00Z"
        counted = [bar for (name, _), bar in minutes.items() if name == message["S"]]
        if counted:  # a day bar comes just before the bar of its last minute
            assert message["h"] >= max(bar["h"] for bar in counted) - 0.05
            assert message["v"] > sum(bar["v"] for bar in counted)

    assert days == 4 * 4


@pytest.mark.parametrize(
    ("start", "marked_minutes", "plain_minutes"),
    [
        ("2026-11-27T08:59:00Z", {"09:00", "09:01"}, set()),  # 04:00 in New York
        ("2026-11-27T14:29:00Z", {"14:29"}, {"14:30"}),
        ("2026-11-27T17:59:00Z", {"18:00"}, {"17:59"}),  # a half day
        ("2026-11-27T21:59:00Z", {"21:59"}, set()),
    ],
)
def test_pre_and_post_market_are_marked(
    start: str, marked_minutes: set[str], plain_minutes: set[str]
):
    chosen = {"rate_per_s": 20, "calendar": "nyse", "extended_hours": True}
    trades = of_type(
        run(119 + 60 * (start[11:13] == "08"), parse_ns(start), **chosen), "t"
    )
    trades = [trade for trade in trades if trade["t"] >= start]

    marked = {trade["t"][11:16] for trade in trades if "T" in trade["c"]}
    plain = {trade["t"][11:16] for trade in trades if "T" not in trade["c"]}
    assert (marked - {"08:59"}, plain) == (marked_minutes, plain_minutes)


def test_a_day_bar_begins_at_midnight_in_new_york():
    chosen = {"rate_per_s": 20, "calendar": "nyse"}
    sent = run(125, parse_ns("2026-11-27T14:30:00Z"), **chosen)

    assert {day["t"] for day in of_type(sent, "d")} == {"2026-11-27T05:00:00Z"}


def test_a_single_symbol_cannot_be_halted():
    with pytest.raises(FixSetup, match="halt"):
        Market(SimulatorSettings(halt_every_s=10), ["KO"])
