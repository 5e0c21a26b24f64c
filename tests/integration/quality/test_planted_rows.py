"""Each rule finds the row that breaks it, in every table that has its columns."""

import json
from pathlib import Path
from typing import Any

import pytest

from conf.lake.tables import (
    BARS,
    GAPS,
    QUOTES,
    RECORDS,
    SYMBOL_STATS,
    TRADES,
    TableContract,
)
from infra.quality.results import Verdict
from infra.quality.validation import CHECKED, Validation
from tests.integration.quality.rows import MINUTE, NOW, good, settings_of
from tests.integration.research import lakes

PLANTED = [
    (TRADES, {"price": -1.0}, "0 < price", "critical"),
    (TRADES, {"event_time_ns": 1}, "0 <= event_time_off_us <= 0", "critical"),
    (TRADES, {"market_time": NOW - MINUTE}, "ahead_of_market_s <= 5", "critical"),
    (TRADES, {"ingest_time": NOW + 2 * MINUTE}, "arrival_to_ingest_s <= 60", "warning"),
    (TRADES, {"arrival_time": NOW - MINUTE}, "clock_went_back_s <= 1", "warning"),
    (TRADES, {"kind": "heartbeat"}, "kind is one of data, ", "critical"),
    (TRADES, {"day": (NOW + 24 * 60 * MINUTE).date()}, "0 <= days_off", "critical"),
    (QUOTES, {"bid_price": 2.0}, "own_book_crossed_usd <= 0", "critical"),
    (BARS, {"low": 1.5}, "low <= open", "critical"),
    (BARS, {"close": 3.0}, "close <= high", "critical"),
    (BARS, {"window_end": NOW}, "window_start < window_end", "critical"),
    (BARS, {"bar_length_s": 300}, "0 <= window_off_bar_length_s <= 0", "critical"),
    (GAPS, {"state": "forgotten"}, "state is one of opened", "critical"),
    (SYMBOL_STATS, {"price_mean": 2.0}, "mean_outside_range_usd", "critical"),
    (SYMBOL_STATS, {"trade_count": 2}, "0 <= trades_outside_buckets", "critical"),
    (SYMBOL_STATS, {"hour": 3}, "0 <= hours_off <= 0", "critical"),
]


def validate(folder: Path, contract: TableContract) -> Verdict:
    """Return the verdict on one table, which alone has rows."""
    (verdict,) = Validation(settings_of(folder), {}).step()
    assert verdict.suite == contract.name
    return verdict


@pytest.mark.parametrize("contract", CHECKED, ids=lambda contract: contract.name)
def test_every_table_has_rules_and_a_good_row_keeps_them(
    contract: TableContract, tmp_path: Path
):
    lakes.write(tmp_path / "lake", contract, good(contract))

    verdict = validate(tmp_path, contract)

    assert [finding.rule for finding in verdict.failed] == []
    rules = {finding.rule for finding in verdict.findings}
    promised = {f"{c.name} is not null" for c in contract.columns if not c.nullable}
    assert promised <= rules
    assert f"({', '.join(contract.key)}) names one row" in rules


@pytest.mark.parametrize(("contract", "change", "rule", "severity"), PLANTED)
def test_a_broken_row_is_named_with_its_rule_its_count_and_its_key(
    contract: TableContract,
    change: dict[str, Any],
    rule: str,
    severity: str,
    tmp_path: Path,
):
    name = contract.key[0]
    others = [good(contract, **{name: f"A{number}"}) for number in range(9)]
    broken = good(contract, **{name: "BROKEN"}, **change)
    lakes.write(tmp_path / "lake", contract, *others, broken)

    failed = validate(tmp_path, contract).failed

    found = next(finding for finding in failed if finding.rule.startswith(rule))
    assert (found.severity, found.rows_failed, found.rows_checked) == (severity, 1, 10)
    (example,) = json.loads(found.examples or "[]")
    assert set(contract.key) <= set(example)
    assert "BROKEN" in (example.get("symbol"), example.get("gap_id"))


def test_a_key_that_occurs_twice_is_found(tmp_path: Path):
    row = good(TRADES)
    lakes.write(tmp_path / "lake", TRADES, row, row, good(TRADES, trade_id=9))

    (finding,) = validate(tmp_path, TRADES).failed

    assert finding.rule == "(symbol, exchange, trade_id, event_time_ns) names one row"
    assert finding.rows_failed == 2


def test_a_few_crossed_quotes_of_two_venues_are_the_market(tmp_path: Path):
    crossed = {"bid_price": 2.0, "bid_exchange": "V", "ask_exchange": "Q"}
    quotes = [good(QUOTES, occurrence=number) for number in range(199)]
    rare = [*quotes, good(QUOTES, occurrence=200, **crossed)]
    lakes.write(tmp_path / "rare" / "lake", QUOTES, *rare)
    often = [*quotes[:20], good(QUOTES, occurrence=200, **crossed)]
    lakes.write(tmp_path / "often" / "lake", QUOTES, *often)

    assert validate(tmp_path / "rare", QUOTES).failed == []
    verdict = validate(tmp_path / "often", QUOTES)
    assert [finding.severity for finding in verdict.failed] == ["warning"]
    assert not verdict.is_critical


def test_bytes_are_checked_for_being_there_only(tmp_path: Path):
    lakes.write(tmp_path / "lake", RECORDS, good(RECORDS, data=b"\xff\x00"))
    assert validate(tmp_path, RECORDS).failed == []
