"""What the spool has is not published again; all else is, and counts as before."""

from typing import Any

import msgspec
import pytest

from conf.market.envelope import Kind, Line, encode_header, encode_line, pack
from conf.market.rfc3339 import format_ns
from producer.findings import Findings
from producer.gaps import Gap
from producer.relay import Row
from producer.rows import Rows
from producer.seen import Seen
from producer.told import Told

SECOND_NS = 1_000_000_000
BEGIN_NS = 1_795_000_020 * SECOND_NS
END_NS = BEGIN_NS + 10 * SECOND_NS


def trade(trade_id: int, at_s: float, **fields: Any) -> dict[str, Any]:
    time = format_ns(BEGIN_NS + int(at_s * SECOND_NS))
    return {"t": time, "x": "V", "p": 9.5, "s": 1, "c": ["@"], "i": trade_id} | fields


def quote(at_s: float) -> dict[str, Any]:
    time = format_ns(BEGIN_NS + int(at_s * SECOND_NS))
    return {"t": time, "bp": 9.5, "bs": 1, "ap": 9.6, "as": 1}


def record(
    *messages: tuple[str, dict[str, Any]],
    kind: Kind = "data",
    at_s: float = 0,
    occurrence: int = 0,
) -> bytes:
    """Return a wire record as the feed's, whose fields come in an order of its own."""
    lines = []
    for number, (type_, fields) in enumerate(messages):
        data = {"T": type_, **dict(reversed(fields.items())), "S": "KO"}
        time_ns = BEGIN_NS + int(at_s * SECOND_NS)
        raw = msgspec.Raw(msgspec.json.encode(data))
        lines.append(encode_line(Line(0, number, time_ns, time_ns, occurrence, raw)))
    return pack(encode_header(kind, "e1", "test"), lines)


def rows(resource: str, *found: dict[str, Any]) -> list[Row]:
    every = Rows(Seen(), BEGIN_NS, END_NS)
    return [row for each in found for row in every.of(resource, "KO", dict(each))]


def told_of(payloads: list[bytes]) -> Told:
    told = Told()
    told.read(payloads, BEGIN_NS, END_NS)
    return told


def test_a_row_is_told_when_every_field_is() -> None:
    told = told_of([record(("t", trade(1, 1)))])
    (same, other) = rows("trades", trade(1, 1), trade(1, 1, p=9.51))

    assert told.has(same)
    assert not told.has(other)


def test_identical_quotes_are_told_apart_by_their_number() -> None:
    told = told_of([record(("q", quote(1)), occurrence=1)])

    assert [told.has(row) for row in rows("quotes", *[quote(1)] * 3)] == [
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("payload", "is_told"),
    [
        (record(("t", trade(1, 1)), kind="backfill"), True),
        (record(("t", trade(1, 1)), kind="history"), False),
        (record(("t", trade(1, 1)), at_s=-1), False),
        (record(("t", trade(1, 1)), at_s=10), False),
        (record(("t", trade(1, 1) | {"t": 5})), False),
    ],
)
def test_only_what_the_stream_received_in_the_interval_counts(
    payload: bytes, is_told: bool
) -> None:
    (row,) = rows("trades", trade(1, 1))

    assert told_of([payload]).has(row) == is_told


def test_what_a_gap_hid_is_news_and_what_was_told_since_still_counts() -> None:
    gaps = [Gap("e1", "cut", "trades", "KO", BEGIN_NS, END_NS)]
    told = told_of([record(("t", trade(1, -3)), ("t", trade(3, 4)), at_s=5)])
    findings = Findings("trades", gaps, Seen(), told)
    ids = (1, -3), (2, -2), (3, 4), (4, 5)
    news = findings.news([("KO", trade(number, at_s)) for number, at_s in ids])

    assert [msgspec.json.decode(row.message.data or b"")["i"] for row in news] == [2, 4]
    assert findings.count(gaps[0]) == 2


def test_an_amendment_is_found_whatever_its_time() -> None:
    correction = trade(0, 8) | {"oi": 1, "ci": 2}
    told = told_of([record(("c", correction), at_s=8)])

    assert [message.head.type for message in told.amendments] == ["c"]


def test_a_record_that_cannot_be_read_hides_no_other() -> None:
    (row,) = rows("trades", trade(1, 1))
    torn = [b"", b"\xff", record(("t", trade(2, 1)))[:-1]]
    told = told_of([*torn, record(("t", trade(1, 1)))])

    assert told.has(row)
    assert told.unreadable == 3


def test_what_was_published_need_not_be_read_back() -> None:
    told, (row, other) = Told(), rows("trades", trade(1, 1), trade(2, 1))
    told.add([row])

    assert [told.has(each) for each in (row, other)] == [True, False]


def test_of_a_very_long_interval_what_is_too_much_to_remember_is_told_again(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("producer.told.MOST_TICKS", 2)
    found, told = rows("trades", *(trade(number, 1) for number in range(3))), Told()
    told.add(found)
    assert [told.has(row) for row in found] == [True, True, False]
