"""Rejects judged again after a rule was mended; and bronze balanced against silver."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from conf.lake.progress import read_until
from conf.lake.tables import QUOTES, RECORDS, REJECTS, TRADES
from conf.market.gaps import GapTransition
from conf.market.wire import Message, Quote, Trade
from conf.settings import Settings
from infra.quality.results import Verdict
from infra.quality.validation import Validation
from silver.replay import replay_in
from tests.integration.lake.layers import Layers, payload, rfc3339
from tests.integration.research import lakes

pytestmark = pytest.mark.spark

CLOCK = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)


@pytest.fixture
def layers(spark: SparkSession, tmp_path: Path) -> Iterator[Layers]:
    made = Layers(spark, tmp_path, "embedded")
    yield made
    made.release()


def trade(number: int, ahead_s: int = -1) -> Trade:
    when = rfc3339(CLOCK + timedelta(seconds=ahead_s))
    return Trade("AAPL", number, "V", 100.0, 10, when)


def quote(bid: float) -> Quote:
    return Quote("AAPL", "V", bid, 1, "V", bid + 0.01, 1, rfc3339(CLOCK))


def gap() -> Message:
    begin = rfc3339(CLOCK)
    return GapTransition("*", begin, "e0/trades/*", "opened", "trades", "cut", begin)


def mended(layers: Layers) -> Settings:
    """Return the settings by which an event may be a minute ahead."""
    lake = layers.chosen.lake.model_copy(update={"future_max_s": 60})
    return layers.chosen.model_copy(update={"lake": lake})


def balance(layers: Layers) -> Verdict:
    verdicts = Validation(layers.chosen, {}).step()
    (found,) = (verdict for verdict in verdicts if verdict.suite == "balance")
    return found


def test_every_message_is_a_row_a_reject_or_a_copy(layers: Layers):
    twice = payload(CLOCK, trade(1), quote(99.0), trade(2))
    layers.land(twice, twice)
    layers.land(
        payload(CLOCK, trade(2), trade(3, ahead_s=30), b'{"T":"t"}'),
        payload(CLOCK, trade(4), late=True),
        payload(CLOCK, gap(), kind="gap"),
        payload(CLOCK, gap(), kind="gap"),
        payload(CLOCK, kind="heartbeat"),
        b"\xff no wire record",
    )
    assert read_until(layers.chosen.lake.checkpoints, "silver") is None
    layers.run_silver()
    layers.land(payload(CLOCK, trade(5)))
    layers.run_silver()
    assert read_until(layers.chosen.lake.checkpoints, "silver") == 3

    found = balance(layers)

    assert found.failed == []
    assert found.note == "14 messages: 9 in silver or rejects, 5 copies"


def test_a_message_that_silver_lost_is_named_by_its_record(layers: Layers):
    layers.land(payload(CLOCK, trade(0)))
    layers.run_silver()
    (number,) = layers.land(payload(CLOCK, trade(1), quote(99.0), trade(2)))
    layers.run_silver()
    lakes.delta(layers.chosen.lake.root, TRADES).delete("trade_id = 2")

    (finding,) = balance(layers).failed

    assert finding.rule == "messages = rows in silver + rejects + copies"
    assert finding.rows_failed == 1
    assert f'"sequence_number": "{number}"' in (finding.examples or "")


def test_rejects_are_accepted_once_after_the_rule_was_mended(layers: Layers):
    layers.land(
        payload(CLOCK, trade(1), trade(2, ahead_s=30), b'{"T":"t"}', quote(99.0)),
        payload(CLOCK, trade(3, ahead_s=40), late=True),
        payload(CLOCK, trade(4, ahead_s=600)),
    )
    layers.run_silver()
    assert [row["trade_id"] for row in layers.rows(TRADES)] == [1]
    before = layers.rows(REJECTS)
    assert len(before) == 4

    first = replay_in(layers.spark, mended(layers))
    again = replay_in(layers.spark, mended(layers))

    assert first == {
        "rejects judged again": 4,
        "silver.trades": 2,
        "silver.rejects": 0,
    }
    assert {name: rows for name, rows in again.items() if rows} == {
        "rejects judged again": 4
    }
    assert sorted(row["trade_id"] for row in layers.rows(TRADES)) == [1, 2, 3]
    assert layers.rows(QUOTES)[0]["bid_price"] == 99.0
    assert sorted(map(str, layers.rows(REJECTS))) == sorted(map(str, before))


def test_some_rejects_are_chosen_by_their_reason(layers: Layers):
    layers.land(payload(CLOCK, trade(2, ahead_s=30), b'{"T":"t"}'))
    layers.run_silver()

    none = replay_in(layers.spark, mended(layers), reason="no symbol at all")
    some = replay_in(layers.spark, mended(layers), reason="in the future")

    assert none["rejects judged again"] == 0
    assert (some["rejects judged again"], some["silver.trades"]) == (1, 1)
    assert replace(layers).rows(RECORDS)
