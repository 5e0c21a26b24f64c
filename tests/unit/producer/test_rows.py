"""REST rows become the messages that the stream would have sent."""

import json
from typing import Any

import msgspec

from producer.protocol import Message, decode
from producer.relay import Row
from producer.rows import Rows
from producer.seen import Seen

MINUTE = "2026-11-23T14:30:00Z"
FROM_NS = 1_795_444_210_000_000_000  # 14:30:10Z
TO_NS = FROM_NS + 120_000_000_000  # 14:32:10Z
TRADE = {
    "t": "2026-11-23T14:30:10.5Z",
    "x": "V",
    "p": 1.5,
    "s": 5,
    "c": ["@"],
    "z": "C",
}
QUOTE = {"t": "2026-11-23T14:30:11Z", "bp": 1.25, "ap": 1.5, "bs": 1, "as": 2}
BAR = {"o": 1, "h": 2, "l": 1, "c": 2, "v": 9, "n": 3}


def rows(seen: Seen | None = None) -> Rows:
    return Rows(seen or Seen(), FROM_NS, TO_NS)


def told(*messages: dict[str, Any]) -> Seen:
    seen = Seen()
    for message in decode(json.dumps(messages).encode(), "json").messages:
        seen.note(message, 0)
    return seen


def messages(found: list[Row]) -> list[dict[str, Any]]:
    return [json.loads(bytes(row.message.data or b"")) for row in found]


def of(out: Rows, resource: str, *fields: dict[str, Any]) -> list[Row]:
    return [row for one in fields for row in out.of(resource, "AAPL", dict(one))]


def test_a_row_gets_type_and_symbol_and_keeps_its_fields():
    (row,) = of(rows(), "trades", {**TRADE, "i": 7})
    assert messages([row]) == [{"T": "t", "S": "AAPL", **TRADE, "i": 7}]
    assert isinstance(row.message, Message)
    assert (row.message.head.type, row.message.head.symbol) == ("t", "AAPL")
    assert isinstance(row.message.data, msgspec.Raw)


def test_identical_quotes_of_one_time_are_numbered_from_the_first():
    later = {**QUOTE, "t": "2026-11-23T14:30:12Z"}
    found = of(rows(), "quotes", QUOTE, {**QUOTE, "bs": 9}, QUOTE, later, QUOTE)
    assert [row.occurrence for row in found] == [0, 0, 1, 0, 0]


def test_numbers_go_on_over_pages_and_places_begin_anew():
    out = rows()
    (first,) = of(out, "quotes", QUOTE)
    out.start_page()
    (second,) = of(out, "quotes", QUOTE)
    assert [row.occurrence for row in (first, second)] == [0, 1]
    assert [row.message.index for row in (first, second)] == [0, 0]


def test_a_corrected_trade_is_one_print_and_its_correction():
    wrong, right = (
        {**TRADE, "i": 7, "u": "incorrect"},
        {**TRADE, "i": 8, "u": "corrected"},
    )
    right["p"] = 1.75
    trade, correction = messages(of(rows(), "trades", wrong, right))
    assert (trade["T"], trade["i"], "u" in trade) == ("t", 7, False)
    assert (correction["T"], correction["oi"], correction["ci"]) == ("c", 7, 8)
    assert (correction["op"], correction["cp"]) == (1.5, 1.75)


def test_a_chain_of_corrections_that_ends_in_a_cancel():
    found = of(
        rows(),
        "trades",
        {**TRADE, "i": 7, "u": "incorrect"},
        {**TRADE, "i": 8, "u": "incorrect"},
        {**TRADE, "i": 9, "u": "canceled"},
    )
    kinds = [(x["T"], x.get("oi") or x["i"]) for x in messages(found)]
    assert kinds == [("t", 7), ("c", 7), ("c", 8), ("x", 9)]


def test_what_the_feed_told_of_a_trade_is_not_told_again():
    seen = told(
        {"T": "c", "S": "AAPL", "x": "V", "oi": 7, "ci": 8, "t": MINUTE},
        {"T": "x", "S": "AAPL", "x": "V", "i": 9, "t": MINUTE},
    )
    found = of(
        rows(seen),
        "trades",
        {**TRADE, "i": 7, "u": "incorrect"},
        {**TRADE, "i": 8, "u": "corrected"},
        {**TRADE, "i": 9, "u": "canceled"},
    )
    assert [(x["T"], x["i"]) for x in messages(found)] == [("t", 7), ("t", 9)]


def test_a_correct_price_without_its_print_is_no_print():
    assert of(rows(), "trades", {**TRADE, "i": 8, "u": "corrected"}) == []


def test_bars_that_closed_in_the_gap_are_told_others_are_not():
    minutes = [f"2026-11-23T14:{n}:00Z" for n in ("28", "29", "30", "31", "32")]
    found = of(rows(), "bars", *({**BAR, "t": t} for t in minutes))
    assert [(x["T"], x["t"]) for x in messages(found)] == [
        ("b", minutes[2]),
        ("b", minutes[3]),
    ]


def test_a_bar_restated_in_the_gap_is_told_as_restated():
    seen = told(
        {"T": "b", "S": "AAPL", **BAR, "t": "2026-11-23T14:28:00Z"},
        {"T": "b", "S": "AAPL", **BAR, "t": "2026-11-23T14:29:00Z"},
    )
    found = of(
        rows(seen),
        "bars",
        {**BAR, "t": "2026-11-23T14:28:00Z"},
        {**BAR, "t": "2026-11-23T14:29:00Z", "n": 4},
    )
    assert [(x["T"], x["n"]) for x in messages(found)] == [("u", 4)]


def test_halts_are_known_until_trading_resumes():
    assert told({"T": "s", "S": "AAPL", "sc": "H"}).is_halted("AAPL")
    assert not told(
        {"T": "s", "S": "AAPL", "sc": "2"}, {"T": "s", "S": "AAPL", "sc": "3"}
    ).is_halted("AAPL")


def test_a_message_of_wrong_types_is_not_remembered():
    assert told({"T": "b", "S": "AAPL", "t": 5}).trade_count("AAPL", "5") is None
