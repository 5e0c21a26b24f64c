"""Whatever a record holds, it becomes a reject and the stream goes on."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from pyspark.sql import SparkSession

from conf.lake.tables import REJECTS, TRADES
from conf.market import wire
from conf.market.envelope import MAX_RAW_CHARACTERS, encode_header, pack
from tests.integration.lake.layers import Layers, nanoseconds, payload, rfc3339

pytestmark = pytest.mark.spark

CLOCK = datetime(2026, 11, 23, 15, tzinfo=UTC)
NS = nanoseconds(CLOCK)
HEADER = encode_header("data", "e1", "test")
TRADE = msgspec.json.encode(
    wire.Trade("AAPL", 1, "V", 126.55, 100, rfc3339(CLOCK), ["@"], "C")
)
RESTATED = wire.UpdatedBar("SPY", 9, 9, 9, 9, 1, rfc3339(CLOCK), trade_count=2**40)
NO_RECORD = "not a wire record of version 1"
NO_LINE = "not a line of a wire record"


def numbered(trade_id: int) -> bytes:
    return TRADE.replace(b'"i":1', b'"i":%d' % trade_id)


def line(**changes: object) -> bytes:
    """Return a line whose keys are changed; None leaves a key out."""
    keys = {"f": 1, "i": 0, "r": NS, "m": NS, "d": msgspec.Raw(TRADE), **changes}
    return msgspec.json.encode({k: v for k, v in keys.items() if v is not None})


BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", NO_RECORD),
    "bytes that are no text": (bytes(range(256)), NO_RECORD),
    "invalid UTF-8": (b"\xff\xfe\xc3\x28", NO_RECORD),
    "1 MiB of text": (b"x" * 2**20, NO_RECORD),
    "JSON that is no header": (b"[1,2]", NO_RECORD),
    "a header without its epoch": (
        pack(b'{"schema_version":1,"kind":"data"}', [line()]),
        NO_RECORD,
    ),
    "a line without its receive time": (pack(HEADER, [line(r=None)]), NO_LINE),
    "a line of 1 MiB": (pack(HEADER, [b"x" * 2**20]), NO_LINE),
    "a line of bytes": (pack(HEADER, [b"\x00\xff\xc3\x28"]), NO_LINE),
    "a line 2,000 levels deep": (pack(HEADER, [b"[" * 2_000]), NO_LINE),
    "invalid UTF-8 within a message": (
        payload(CLOCK, TRADE.replace(b"AAPL", b"A\xff")),
        "no symbol",
    ),
    "a year whose nanoseconds no number holds": (
        payload(CLOCK, TRADE.replace(b"2026", b"9999")),
        "no RFC 3339",
    ),
    "a year before all numbers of nanoseconds": (
        payload(CLOCK, TRADE.replace(b"2026", b"0001")),
        "no RFC 3339",
    ),
    "more shares than a number holds when they are added up": (
        payload(CLOCK, TRADE.replace(b"100", b"9223372036854775807")),
        "size",
    ),
    "more trades than a restated bar can be numbered by": (
        payload(CLOCK, msgspec.json.encode(RESTATED)),
        "trade_count",
    ),
}


@pytest.fixture(params=["embedded", "spark"])
def lake(
    request: pytest.FixtureRequest, spark: SparkSession, tmp_path: Path
) -> Iterator[Layers]:
    """An empty lake of each engine."""
    empty = Layers(spark, tmp_path, request.param)
    yield empty
    empty.release()


def test_broken_payloads_are_rejected_and_the_rest_goes_on(lake: Layers):
    before = payload(CLOCK, numbered(1))
    broken = lake.land(before, *(data for data, _ in BROKEN.values()))[1:]
    # the market clock at the end of time: nothing is in its future
    lake.land(pack(HEADER, [line(m=2**63 - 1, d=msgspec.Raw(numbered(2)))]))
    lake.land(payload(CLOCK, numbered(3)))
    lake.run_silver()
    lake.run_gold()
    rejects = lake.rows(REJECTS)
    reasons = {row["sequence_number"]: row["reason"] for row in rejects}
    found = {name: reasons.pop(n, None) for name, n in zip(BROKEN, broken, strict=True)}

    for name, (_, reason) in BROKEN.items():
        assert (found[name] or "").startswith(reason), name
    assert reasons == {}
    assert sorted(row["trade_id"] for row in lake.rows(TRADES)) == [1, 2, 3]
    assert max(len(row["message"]) for row in rejects) == MAX_RAW_CHARACTERS
