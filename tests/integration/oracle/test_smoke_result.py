"""From a finished run's folder to the JSON that people and CI rely on."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import msgspec
import pytest
from deltalake import DeltaTable

from conf.settings import Settings, load
from infra.local.observe import Observation
from infra.local.oracle import open_database
from infra.local.reader import WATCHED, TableLog
from infra.local.samples import Usage
from infra.local.shown import Shown, ShownTrade, newest_stats
from infra.local.smoke import prepared, result_of
from infra.local.state import ProcessStatus
from tests.integration.oracle.example_market import (
    MESSAGES,
    RECEIVE_NS,
    Lake,
    closed_minutes,
    correct_lake,
    trade_row,
    write_kinesis,
    write_table,
    write_truth,
)

KEYS = [
    "seconds", "rate_per_s", "engine", "emitted", "injected", "bronze_records",
    "silver_expected", "silver_rows", "lost", "duplicated", "altered", "rejected",
    "late_restated", "silver_latency_s", "gold_latency_s", "late_latency_s",
    "tail_latency_s", "warm_up", "lag_s",
]  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    chosen = load().model_copy(update={"var": tmp_path})
    return prepared(chosen, seconds=300, rate=4096)


def finish_run(settings: Settings, lake: Lake) -> Observation:
    """Leave behind what a run of the example market leaves."""
    truth_dir = settings.var / "truth"
    truth_dir.mkdir(parents=True)
    write_truth(truth_dir)
    summary = {
        "emitted": 15,
        "repeated": 1,
        "out_of_order": 2,
        "late": 1,
        "malformed": 3,
        "first_due_ns": RECEIVE_NS,
        "last_due_ns": RECEIVE_NS + 10**10,
        "max_behind_ms": 0.5,
    }
    (truth_dir / "summary.json").write_bytes(msgspec.json.encode(summary))
    (settings.var / "kinesis").mkdir()
    write_kinesis(settings.var / "kinesis")
    sightings = []
    made = closed_minutes()
    lake = lake | made | {"silver.bars": lake["silver.bars"] + made["silver.bars"]}
    for table, rows in lake.items():
        write_table(Path(settings.lake.root), table, rows)
    for table in WATCHED:
        sightings += list(TableLog(Path(settings.lake.root), table).new_commits())
    usage = Usage()
    usage.add([ProcessStatus("lake", "live", 1, "a", rss_mb=900, cpu_s=3)])
    return Observation(sightings, usage, first_gold_s=31.5)


def test_the_result_has_the_keys_of_the_design_in_their_order(settings: Settings):
    observed = finish_run(settings, correct_lake())
    result = result_of(settings, observed)
    assert list(result)[: len(KEYS)] == KEYS
    assert result["versions"].keys() >= {"python", "java", "duckdb", "commit", "cpu"}
    assert msgspec.json.encode(result)


def test_a_correct_run_is_counted(settings: Settings):
    result = result_of(settings, finish_run(settings, correct_lake()))
    counts = {name: result[name] for name in KEYS[5:13]}
    assert counts == {
        "bronze_records": 5,
        "silver_expected": 19,
        "silver_rows": 19,
        "lost": 0,
        "duplicated": 0,
        "altered": 0,
        "rejected": 3,
        "late_restated": 1,
    }
    assert result["injected"] == {
        "repeated": 1 + len(MESSAGES),
        "out_of_order": 2,
        "late": 1,
        "malformed": 3,
    }
    assert (result["seconds"], result["rate_per_s"]) == (10.0, 1.5)
    assert result["warm_up"]["seconds"] == 4.0
    assert result["warm_up"]["first_gold_s"] == 31.5
    assert result["warm_up"]["silver_latency_s"]["max"] > 0
    assert result["peak_rss_mb"] == {"lake": 900.0, "total": 900.0}
    assert result["features"] == 2


def test_without_an_api_the_stream_s_figures_are_null(settings: Settings):
    result = result_of(settings, finish_run(settings, correct_lake()))
    figures = ("tail_latency_s", "tail_differences", "tail_checked")
    assert [result[name] for name in figures] == [None] * 3


def test_what_the_stream_showed_is_compared_with_the_tables(settings: Settings):
    observed = finish_run(settings, correct_lake())
    lake = Path(settings.lake.root)
    version = DeltaTable(lake / "gold" / "symbol_stats").version()
    with open_database(settings.var) as db:
        row = newest_stats(db, lake, version)["AAPL"]
    told = {name: as_sent(value) for name, value in row.items()}
    trade = trade_row(0)
    identity = ("symbol", "exchange", "trade_id", "event_time_ns", "price", "size")
    shown = Shown(
        [ShownTrade(*(trade[name] for name in identity), seen_ns=RECEIVE_NS + 10**9)],
        {version: [told, told | {"volume": 11}]},
    )
    result = result_of(settings, replace(observed, shown=shown))
    assert result["tail_differences"] == 1
    assert result["tail_checked"] == {"trades": 1, "stats_versions": 1}
    assert result["warm_up"]["tail_latency_s"]["max"] == 1.0
    wrong = replace(shown.trades[0], price=1.0)
    shown = Shown([wrong, replace(wrong, trade_id=77)])
    result = result_of(settings, replace(observed, shown=shown))
    assert result["tail_differences"] == 2


def as_sent(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def test_faults_are_counted_and_kept_with_examples(settings: Settings):
    lake = correct_lake()
    del lake["silver.quotes"][0]
    lake["gold.symbol_stats"][0]["volume"] += 1
    result = result_of(settings, finish_run(settings, lake))
    assert (result["lost"], result["duplicated"], result["altered"]) == (1, 0, 1)
    report = msgspec.json.decode((settings.var / "report.json").read_bytes())
    examples = {table["table"]: table["examples"] for table in report["tables"]}
    assert len(examples["silver.quotes"]["lost"]) == 1
    assert examples["gold.symbol_stats"]["altered"][0]["differs"] == ["volume"]


def test_after_a_fault_there_are_no_latencies(settings: Settings):
    observed = finish_run(settings, correct_lake())
    result = result_of(settings, observed, only_stored=True)
    assert result["lost"] == 0
    assert result["silver_latency_s"]["p99"] is None
