"""A contender is judged by what it stored, and the judge sees what is wrong."""

from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from conf.lake.tables import QUOTES, TRADES
from conf.market.envelope import unpack
from conf.settings import Settings
from infra.local.bench import recording
from infra.local.bench.contender import table_path
from infra.local.bench.judge import Verdict, expected_rows, judge
from infra.local.bench.plain import VARIANTS
from infra.local.bench.run import Plan, bench, broken_by

SECONDS = 6
RATE = 400


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("market")
    shares = recording.DISTURBED | {"malformed_share": 0.01, "late_share": 0.01}
    source = recording.simulated(RATE, seed=7, **shares)
    assert sum(recording.write(source, folder, SECONDS, seed=7)) >= SECONDS * RATE
    return folder


def stored(market: Path, own: Path, name: str, *restarts: int) -> Verdict:
    """Run a contender over the recording, second by second; judge it.

    It begins anew, as after a kill, at each second of ``restarts``, and takes the one
    before it again: the kill came between its commits and its note of them.
    """
    open_it = partial(VARIANTS[name], own)
    own.mkdir()
    contender = open_it()
    for number in range(SECONDS):
        if number in restarts:
            (own / "position").write_text(str(number - 1))
            contender = open_it()
            again = contender.next_second()
            contender.take(again, [recording.records_file(market, again)])
        contender.take(number, [recording.records_file(market, number)])
    return judge(market, own, SECONDS)


def test_the_recording_holds_each_message_and_some_records_again(market: Path):
    lines, records = 0, []
    for number in range(SECONDS):
        table = pq.read_table(recording.records_file(market, number))
        records += table["data"].to_pylist()
    copies = len(records) - len(set(records))
    lines = sum(len(unpack(data)[1]) for data in set(records))
    sent = "".join(
        (market / recording.truth_file(number)).read_text() for number in range(SECONDS)
    )
    assert lines == sent.count("\n")
    assert copies > 0


@pytest.mark.parametrize("name", VARIANTS)
def test_undisturbed_every_plain_variant_stores_what_was_sent(
    market: Path, tmp_path: Path, name: str
):
    verdict = stored(market, tmp_path / name, name)
    assert verdict == Verdict(expected_rows(market, SECONDS), 0, 0, 0)
    assert verdict.is_right


def test_after_a_kill_an_append_doubles_and_a_merge_does_not(
    market: Path, tmp_path: Path
):
    assert stored(market, tmp_path / "a", "append", 3).duplicated > RATE / 2
    assert stored(market, tmp_path / "m", "merge-bounded", 3).is_right


def test_a_row_lost_doubled_or_altered_is_seen(market: Path, tmp_path: Path):
    own = tmp_path / "append"
    assert stored(market, own, "append").is_right
    trades = DeltaTable(str(table_path(own, TRADES)))
    quotes = DeltaTable(str(table_path(own, QUOTES)))
    one = trades.to_pyarrow_table().slice(0, 1)
    trade_id = one["trade_id"][0].as_py()
    symbol = one["symbol"][0].as_py()
    write_deltalake(trades, one, mode="append")
    assert judge(market, own, SECONDS).duplicated == 1
    which = f"trade_id = {trade_id} AND symbol = '{symbol}'"
    trades.delete(which)
    assert judge(market, own, SECONDS).lost >= 1
    write_deltalake(trades, one, mode="append")
    occurrence = quotes.to_pyarrow_table()["event_time_ns"][0].as_py()
    quotes.update(
        predicate=f"event_time_ns = {occurrence}", updates={"bid_size": "bid_size + 1"}
    )
    assert judge(market, own, SECONDS).altered >= 1


def test_a_contender_is_killed_and_told_with_what_it_stored(tmp_path: Path):
    shown = list[str]()
    settings = Settings(var=tmp_path)
    result = bench(settings, Plan(8, 1.0, 1.0, ("merge-bounded",)), shown.append)
    told = result["contenders"]["merge-bounded"]
    assert told["right"]
    assert told["expected"] > 0
    assert min(told["messages_per_s"], told["batch_ms"]["p50"], *told["batches"]) > 0
    assert [line.split()[0] for line in shown] == ["1", "merge-bounded"]
    assert not list((tmp_path / "bench").iterdir())


def test_a_contender_that_fails_says_why(tmp_path: Path):
    plan = Plan(2, 1.0, 1.0, ("nobody",))
    result = bench(Settings(var=tmp_path), plan, list[str]().append)
    assert "KeyError: 'nobody'" in result["contenders"]["nobody"]["failed"]


@pytest.mark.parametrize(
    ("ours", "broken"),
    [
        ({"lost": 0, "duplicated": 0, "altered": 0}, []),
        ({"lost": 0, "duplicated": 3, "altered": 0}, ["duplicated is 3, must be 0"]),
        ({"failed": "no Java"}, ["failed: no Java"]),
        (None, []),
    ],
)
def test_only_what_we_did_wrong_is_a_broken_bound(ours, broken):
    assert [told.partition(": ")[2] for told in broken_by(ours)] == broken
