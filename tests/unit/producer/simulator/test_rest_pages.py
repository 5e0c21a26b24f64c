"""REST over an archive: pages, order, revisions, amendments, what is withheld."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conf.market.rfc3339 import format_ns, parse_ns
from producer.simulator.batch import Batch
from producer.simulator.history import History
from producer.simulator.rest.archive import Archive
from producer.simulator.rest.pages import Pages
from producer.simulator.rest.query import BadQuery, parse_query
from producer.simulator.rest.rate_limit import RateLimit
from producer.simulator.sessions import previous_sessions

START_NS = parse_ns("2026-11-23T14:30:00Z")
SECOND_NS = 10**9
MINUTE_NS = 60 * SECOND_NS
(SESSION,) = previous_sessions("always", START_NS)
MINUTES = {"timeframe": "1Min", "symbols": "MSFT,AAPL"}

Message = dict[str, Any]


def trade(number: int, event_ns: int, symbol: str = "KO", **more: object) -> Message:
    return {
        "T": "t", "S": symbol, "i": number, "x": "D", "p": 63.9, "s": 100,
        "t": format_ns(event_ns), "c": [" "], "z": "A", **more,
    }  # fmt: skip


def bar(kind: str, minute: int, volume: int) -> Message:
    start = format_ns(START_NS + minute * MINUTE_NS)
    return {
        "T": kind, "S": "KO", "o": 1.0, "h": 3.0 + minute, "l": 1.0, "c": 2.0,
        "v": volume, "t": start, "n": 2, "vw": 1.5,
    }  # fmt: skip


async def archive_of(*messages: Message, flags: str | None = None) -> Archive:
    archive = Archive(keep_minutes=30)
    if not messages:
        return archive
    due_ns = [START_NS + 10 * MINUTE_NS] * len(messages)
    archive.add(
        Batch(
            due_ns=due_ns,
            market_ns=due_ns,
            flags=flags or "n" * len(messages),
            routes=[(message["T"], message["S"]) for message in messages],
            texts=[json.dumps(message).encode() for message in messages],
        )
    )
    await archive.flush()
    return archive


def pages(
    archive: Archive, history: History | None = None, withheld: tuple[int, ...] = ()
) -> Pages:
    return Pages(archive, history, lambda _c, _s, event_ns: event_ns in withheld)


def every_page(source: Pages, resource: str, **query: str) -> Iterator[Message]:
    token: str | None = ""
    while token is not None:
        page = source.page(resource, parse_query(query | {"page_token": token}))
        yield page[resource]
        token = page["next_page_token"]


async def test_pages_hold_every_bar_of_the_session_once():
    history = History(7, [SESSION])
    source = pages(await archive_of(), history)
    found = list(every_page(source, "bars", limit="300", **MINUTES))

    assert [sorted(page) for page in found] == [["AAPL"], ["AAPL", "MSFT"], ["MSFT"]]
    for symbol in "AAPL", "MSFT":
        times = [each["t"] for page in found for each in page.get(symbol, [])]
        assert times == [each.event_time for each in history.bars(symbol)]
    assert sorted(found[0]["AAPL"][0]) == sorted(
        ["t", "o", "h", "l", "c", "v", "n", "vw"]
    )


async def test_start_and_end_are_inclusive():
    source = pages(await archive_of(), History(7, [SESSION]))
    query = MINUTES | {
        "start": format_ns(SESSION[0] + MINUTE_NS),
        "end": format_ns(SESSION[0] + 2 * MINUTE_NS).replace("Z", "+00:00"),
    }

    found = source.page("bars", parse_query(query))["bars"]

    assert [len(found[symbol]) for symbol in sorted(found)] == [2, 2]


# START_NS has no fixture: the archive is made anew for every example
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=40, deadline=None)
@given(
    offsets=st.lists(st.integers(0, 5), max_size=12),
    limit=st.integers(1, 5),
    descending=st.booleans(),
)
async def test_any_pages_together_are_the_whole(
    offsets: list[int], limit: int, descending: bool
):
    """Also when several trades share one time, and a page ends between them."""
    messages = [
        trade(number, START_NS + offset * 30 * SECOND_NS, "KO" if number % 3 else "BA")
        for number, offset in enumerate(offsets)
    ]
    source = pages(await archive_of(*messages))
    query = {"symbols": "KO,BA,XOM", "start": "2026-11-23"}
    if descending:
        query["sort"] = "desc"

    found = [
        (symbol, each["t"], each["i"])
        for page in every_page(source, "trades", limit=str(limit), **query)
        for symbol, events in page.items()
        for each in events
    ]

    for symbol in "BA", "KO":
        ordered = sorted(
            (m for m in messages if m["S"] == symbol), key=lambda m: m["t"]
        )
        expected = [(symbol, m["t"], m["i"]) for m in ordered]
        got = [each for each in found if each[0] == symbol]
        assert got == (expected[::-1] if descending else expected)
    assert len(found) == len(messages)


async def test_repeats_and_spoilt_messages_are_no_history():
    once = trade(1, START_NS)
    spoilt = trade(2, START_NS) | {"p": "abc"}
    source = pages(await archive_of(once, once, spoilt, flags="nrm"))

    found = source.page("trades", parse_query({"symbols": "KO", "start": "2026-01-01"}))

    assert found == {
        "trades": {"KO": [{k: v for k, v in once.items() if k not in "TS"}]},
        "next_page_token": None,
    }


async def test_a_bar_is_its_latest_revision_and_longer_ones_are_rolled_up():
    source = pages(
        await archive_of(
            bar("b", 0, 100), bar("b", 1, 200), bar("u", 0, 150), bar("b", 6, 50)
        )
    )
    query = {"symbols": "KO", "start": format_ns(START_NS)}
    minutes = source.page("bars", parse_query(query | {"timeframe": "1Min"}))["bars"]
    longer = source.page("bars", parse_query(query | {"timeframe": "5Min"}))["bars"]

    assert [each["v"] for each in minutes["KO"]] == [150, 200, 50]
    assert [(each["t"], each["v"], each["h"]) for each in longer["KO"]] == [
        ("2026-11-23T14:30:00Z", 350, 4.0),
        ("2026-11-23T14:35:00Z", 50, 9.0),
    ]


async def test_a_trade_tells_what_became_of_it():
    correction = {
        "T": "c", "S": "KO", "x": "D", "oi": 1, "op": 63.9, "os": 100, "oc": [" "],
        "ci": 8, "cp": 64.0, "cs": 90, "cc": [" ", "I"], "z": "A",
        "t": format_ns(START_NS + SECOND_NS),
    }  # fmt: skip
    cancels = [
        {
            "T": "x", "S": "KO", "i": number, "x": "D", "p": 64.0, "s": 90, "a": "C",
            "z": "A", "t": format_ns(START_NS + 2 * SECOND_NS),
        }
        for number in (2, 8)
    ]  # fmt: skip
    trades = [trade(number, START_NS + number) for number in (1, 2, 3)]
    source = pages(await archive_of(*trades, correction, *cancels))

    found = source.page("trades", parse_query({"symbols": "KO", "start": "2026-01-01"}))

    assert [(t["i"], t["p"], t.get("u")) for t in found["trades"]["KO"]] == [
        (1, 63.9, "incorrect"),
        (8, 64.0, "canceled"),
        (2, 63.9, "canceled"),
        (3, 63.9, None),
    ]


async def test_what_is_withheld_is_not_there():
    archive = await archive_of(*(trade(n, START_NS + n) for n in range(4)))
    query = parse_query({"symbols": "KO", "start": "2026-01-01"})

    found = pages(archive, withheld=(START_NS + 1,)).page("trades", query)

    assert [each["i"] for each in found["trades"]["KO"]] == [0, 2, 3]


async def test_old_messages_are_forgotten_by_when_they_were_sent():
    archive = await archive_of(trade(1, START_NS - 300 * MINUTE_NS))
    query = parse_query({"symbols": "KO", "start": "2026-01-01"})
    assert pages(archive).page("trades", query)["trades"]

    later_ns = START_NS + 45 * MINUTE_NS
    text = json.dumps(trade(2, later_ns)).encode()
    archive.add(Batch([later_ns], [later_ns], "n", [("t", "KO")], [text]))
    await archive.flush()

    assert [t["i"] for t in pages(archive).page("trades", query)["trades"]["KO"]] == [2]


@pytest.mark.parametrize(
    "wrong",
    [
        {"symbols": ""},
        {"start": "yesterday"},
        {"limit": "many"},
        {"page_token": "!"},
        {"sort": "up"},
        {"timeframe": "1Week"},
        {"timeframe": "0Min"},
        {"timeframe": ""},
    ],
)
async def test_a_wrong_query_is_refused(wrong: dict[str, str]):
    source = pages(await archive_of(), History(7, [SESSION]))
    with pytest.raises(BadQuery):
        source.page("bars", parse_query(MINUTES | wrong))


def test_the_rate_limit_counts_each_key_and_forgets_after_a_minute():
    now_s = 1_000.0
    limit = RateLimit(2, clock=lambda: now_s)

    allowed = [limit.take(key)[0] for key in ("a", "a", "b", "a")]
    _, headers = limit.take("b")
    now_s += 61

    assert allowed == [True, True, True, False]
    assert headers == {
        "X-RateLimit-Limit": "2",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": "1060",
    }
    assert limit.take("a")[0]
