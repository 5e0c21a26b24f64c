"""What is read is what is new; what is found is in ``quality.results``."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from conf.lake.read import scan
from conf.lake.roots import table_uri
from conf.lake.tables import RESULTS, SYMBOL_STATS, TRADES
from infra.quality.results import Results
from infra.quality.runner import Runner, run_once
from infra.quality.slices import change_since, version_before
from infra.quality.validation import Validation
from tests.integration.quality.rows import good, settings_of
from tests.integration.research import lakes


def spans(validation: Validation) -> list[tuple[str, int | None, int | None]]:
    return [(v.suite, v.after, v.version) for v in validation.step()]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "lake"


def test_a_change_is_what_its_commits_added_and_nothing_else_is_opened(root: Path):
    for number in range(12):
        lakes.write(root, TRADES, good(TRADES, trade_id=number))
    table = lakes.delta(root, TRADES)
    table.create_checkpoint()
    change = change_since(str(root), TRADES, 10)

    assert change is not None
    assert (change.after, change.version, change.rows, len(change.files)) == (
        10,
        12,
        2,
        2,
    )
    # Without everything else on the disk, it is the same change.
    kept = set(change.files)
    for file in Path(table_uri(str(root), TRADES)).rglob("*.*"):
        is_log = file.parent.name == "_delta_log"
        if str(file) not in kept and (not is_log or file.name < f"{11:020d}"):
            file.unlink()
    assert change_since(str(root), TRADES, 10) == change


def test_compaction_adds_no_rows_and_takes_none_from_the_change(root: Path):
    for number in range(3):
        lakes.write(root, TRADES, good(TRADES, trade_id=number))
    lakes.delta(root, TRADES).optimize.compact()

    change = change_since(str(root), TRADES, -1)
    after = change_since(str(root), TRADES, 3)

    assert change is not None
    assert (change.version, change.rows, len(change.files)) == (4, 3, 3)
    assert after is not None
    assert (after.version, after.rows, after.files) == (4, 0, ())


def test_what_an_upsert_replaced_is_left_out(root: Path):
    lakes.write(root, SYMBOL_STATS, good(SYMBOL_STATS))
    rows = lakes.arrow(SYMBOL_STATS, good(SYMBOL_STATS, volume=2))
    merger = lakes.delta(root, SYMBOL_STATS).merge(
        rows, "t.symbol = u.symbol", source_alias="u", target_alias="t"
    )
    merger.when_matched_update_all().execute()

    change = change_since(str(root), SYMBOL_STATS, -1)

    assert change is not None
    assert (change.rows, len(change.files)) == (1, 1)


def test_what_was_compacted_and_then_replaced_is_there_once(root: Path):
    """Also when it was compacted twice, beside rows that nobody replaced."""
    for symbol in ("AAPL", "MSFT"):
        lakes.write(root, SYMBOL_STATS, good(SYMBOL_STATS, symbol=symbol))
    lakes.delta(root, SYMBOL_STATS).optimize.compact()
    lakes.write(root, SYMBOL_STATS, good(SYMBOL_STATS, symbol="SPY"))
    lakes.delta(root, SYMBOL_STATS).optimize.compact()
    rows = lakes.arrow(SYMBOL_STATS, good(SYMBOL_STATS, symbol="AAPL", volume=2))
    merger = lakes.delta(root, SYMBOL_STATS).merge(
        rows, "t.symbol = u.symbol", source_alias="u", target_alias="t"
    )
    merger.when_matched_update_all().execute()

    change = change_since(str(root), SYMBOL_STATS, -1)

    assert change is not None
    held = [
        (row["symbol"], row["volume"])
        for file in change.files
        for row in pq.read_table(file, partitioning=None).to_pylist()
    ]
    assert sorted(held) == [("AAPL", 2), ("MSFT", 1), ("SPY", 1)]


@pytest.mark.parametrize("replaced", ["full", "again"])
def test_what_several_compactions_made_of_a_change_is_not_left_out(
    root: Path, replaced: str
):
    """Two files go into a full one and a rest, which is compacted again."""
    table = Path(table_uri(str(root), TRADES))
    day = table / "day=2026-11-23"
    (table / "_delta_log").mkdir(parents=True)
    day.mkdir()
    commits = [
        ({"first", "second"}, set()),
        ({"full", "rest"}, {"first", "second"}),
        ({"third"}, set()),
        ({"again"}, {"rest", "third"}),
        ({"upserted"}, {replaced}),
    ]
    for version, (added, removed) in enumerate(commits):
        changes = {"dataChange": not removed or "upserted" in added}
        actions = [
            *({"add": {"path": f"{day.name}/{name}", **changes}} for name in added),
            *(
                {"remove": {"path": f"{day.name}/{name}", **changes}}
                for name in removed
            ),
        ]
        for name in added:
            (day / name).touch()
        entry = table / "_delta_log" / f"{version:020d}.json"
        entry.write_text("\n".join(json.dumps(action) for action in actions))

    change = change_since(str(root), TRADES, -1)

    assert change is not None
    held = {"full", "again", "upserted"} - {replaced}
    assert {Path(file).name for file in change.files} == held


def test_a_backlog_is_taken_in_slices_and_a_table_without_news_is_no_change(root: Path):
    assert change_since(str(root), TRADES, -1) is None
    for number in range(4):
        lakes.write(root, TRADES, good(TRADES, trade_id=number))

    first = change_since(str(root), TRADES, -1, max_rows=2)

    assert first is not None
    assert (first.version, first.rows) == (2, 2)
    assert change_since(str(root), TRADES, 4) is None


def test_commits_that_were_cleaned_away_are_passed_over(root: Path):
    for number in range(4):
        lakes.write(root, TRADES, good(TRADES, trade_id=number))
    lakes.delta(root, TRADES).create_checkpoint()
    log = Path(table_uri(str(root), TRADES)) / "_delta_log"
    for version in range(3):
        (log / f"{version:020d}.json").unlink()

    change = change_since(str(root), TRADES, -1)

    assert change is not None
    assert (change.after, change.version, change.rows) == (2, 4, 2)


def test_the_version_before_a_time_is_found_from_the_newest(root: Path):
    for number in range(3):
        lakes.write(root, TRADES, good(TRADES, trade_id=number))
    first = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
    lakes.date_commits(root, first)

    def before(seconds: float) -> int:
        return version_before(str(root), TRADES, first.timestamp() + seconds, 3)

    assert [before(s) for s in (9, 3, 2.5, 0.5, 0)] == [3, 2, 2, 0, -1]


def test_each_row_is_checked_once_and_a_restart_goes_on(tmp_path: Path, root: Path):
    settings = settings_of(tmp_path)
    lakes.write(root, TRADES, good(TRADES, trade_id=1))
    first, is_written = run_once(settings, everything=False)
    lakes.write(root, TRADES, good(TRADES, trade_id=2))
    second, _ = run_once(settings, everything=False)
    third, _ = run_once(settings, everything=False)

    assert is_written
    assert [(v.after, v.version) for v in first] == [(-1, 1)]
    assert [(v.after, v.version) for v in second] == [(1, 2)]
    assert third == []


@pytest.mark.parametrize("is_live", [True, False])
def test_a_run_beside_a_pipeline_ends_though_rows_keep_coming(
    tmp_path: Path, root: Path, *, is_live: bool
):
    lakes.write(root, TRADES, good(TRADES, trade_id=0))
    runner = Runner(settings_of(tmp_path), results=None)
    judged = []
    for number, verdict in enumerate(runner.run(is_live=is_live), start=1):
        judged.append(verdict)
        lakes.write(root, TRADES, good(TRADES, trade_id=number))
        assert number < 20

    trades = [(v.after, v.version) for v in judged if v.suite == TRADES.name]
    assert trades == [(-1, 1)]
    # What came meanwhile is the next run's.
    (later,) = [v for v in runner.run(is_live=is_live) if v.suite == TRADES.name]
    assert later.after == 1
    assert later.version == 1 + len(judged)


def test_a_failure_is_in_the_results_and_the_lake_is_as_it_was(
    tmp_path: Path, root: Path
):
    lakes.write(root, TRADES, good(TRADES, price=-1.0))
    before = sorted(path for path in (root / "silver").rglob("*"))

    run_once(settings_of(tmp_path), everything=False)

    rows = scan(str(root), RESULTS, where="NOT success").to_pylist()
    assert [(row["suite"], row["rule"], row["version"]) for row in rows] == [
        ("silver.trades", "0 < price", 1)
    ]
    assert rows[0]["rows_failed"] == 1
    assert '"price": -1.0' in rows[0]["examples"]
    keys = scan(str(root), RESULTS, columns=RESULTS.key).to_pylist()
    assert len({tuple(key.values()) for key in keys}) == len(keys) > 20
    assert sorted(path for path in (root / "silver").rglob("*")) == before


def test_rows_that_cannot_be_read_are_a_finding_and_the_next_go_on(
    tmp_path: Path, root: Path
):
    lakes.write(root, TRADES, good(TRADES, trade_id=1))
    validation = Validation(settings_of(tmp_path), {})
    (file,) = lakes.delta(root, TRADES).file_uris()
    Path(file).write_bytes(b"no parquet")

    (spoilt,) = validation.step()
    lakes.write(root, TRADES, good(TRADES, trade_id=2))
    (next_one,) = validation.step()

    assert spoilt.is_critical
    assert [finding.rule for finding in spoilt.failed] == ["the rows can be read"]
    assert (next_one.after, next_one.failed) == (1, [])


def test_another_validation_of_the_lake_only_tells(tmp_path: Path, root: Path):
    lakes.write(root, TRADES, good(TRADES))
    settings = settings_of(tmp_path)
    lease = root / "_leases" / "quality.json"
    results = Results(settings.lake.root, keep_days=30)
    # Another process: this one would be let in again.
    text = lease.read_text()
    results.release()
    other = text.replace(f'"pid": {os.getpid()}', '"pid": 1')
    lease.write_text(other)

    found, is_written = run_once(settings, everything=False)

    assert ([verdict.suite for verdict in found], is_written) == (
        ["silver.trades"],
        False,
    )
    assert scan(str(root), RESULTS).num_rows == 0


def test_a_table_that_stands_still_is_not_fresh(tmp_path: Path, root: Path):
    lakes.write(root, TRADES, good(TRADES))
    lakes.write(root, SYMBOL_STATS, good(SYMBOL_STATS))
    first = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
    lakes.date_commits(root, first)
    validation = Validation(settings_of(tmp_path), {})
    validation.step()
    (fresh,) = validation.freshness(first.timestamp())
    log = Path(table_uri(str(root), TRADES)) / "_delta_log"
    two_minutes_on = first.timestamp() + 121
    os.utime(log / f"{1:020d}.json", (two_minutes_on, two_minutes_on))

    (later,) = validation.freshness(first.timestamp())

    assert fresh.failed == []
    assert [finding.rule for finding in later.failed] == ["behind_s <= 60"]


def test_data_docs_need_nothing_from_elsewhere(tmp_path: Path, root: Path):
    lakes.write(root, TRADES, good(TRADES, price=-1.0))
    runner = Runner(settings_of(tmp_path), results=None)
    list(runner.run())
    runner.build_docs_if_due()
    index = settings_of(tmp_path).data_docs / "index.html"
    built = index.stat().st_mtime_ns
    runner.build_docs_if_due()

    assert index.stat().st_mtime_ns == built, "nothing turned"
    page = (index.parent / "silver.trades.html").read_text()
    assert "silver.trades.html" in index.read_text()
    assert "0 &lt; price" in index.read_text()
    assert "price" in page
    for text in (page, index.read_text()):
        assert "<script" not in text
        assert "http://" not in text.replace("http://www.w3.org", "")
        assert "https://" not in text


def test_results_are_kept_for_some_days(tmp_path: Path, root: Path):
    lakes.write(
        root,
        RESULTS,
        lakes.row(RESULTS, datetime(2026, 1, 1, tzinfo=UTC)),
    )
    settings = settings_of(tmp_path)
    results = Results(settings.lake.root, keep_days=30)
    for number in range(50):
        lakes.write(root, TRADES, good(TRADES, trade_id=number))
    runner = Runner(settings, results=results, everything=True)
    (verdict,) = list(runner.run())
    for _ in range(49):
        results.write([verdict], "r", datetime(2026, 11, 23, tzinfo=UTC))
    results.release()

    table = DeltaTable(table_uri(str(root), RESULTS))
    days = {row["day"].year for row in scan(str(root), RESULTS).to_pylist()}
    assert days == {2026}
    assert len(table.file_uris()) < 5
