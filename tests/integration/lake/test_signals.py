"""A model decides on closed bars: once, by what was known, and again to the byte."""

import json
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from deltalake import DeltaTable

from conf.errors import FixSetup
from conf.lake.manifest import tie
from conf.lake.roots import table_uri
from conf.lake.tables import BARS, FEATURES, PORTFOLIO, QUOTES, SIGNALS
from models.account import Costs
from models.backtest import backtest, decisions
from models.decisions import HALTED, SUPERSEDED, WARMING_UP
from models.environment import Rules
from models.fills import nanoseconds
from models.lake_rows import LakeRows
from models.lake_study import study_of_lake
from models.lake_tape import Span, read_tapes
from models.observation import DISPLAYED
from models.replay import Replay
from models.serving import find_version
from models.traces import deciding, play
from tests.integration.lake.decided import MINUTE, SECOND, START, Decided, register
from tests.integration.lake.scripted import SYMBOLS, Script
from tests.integration.lake.test_minutes import bar_row

DAY = date(2026, 11, 23)


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """Return a lake with half an hour behind it: a halt, corrections, a restart."""
    lake, script = Decided(tmp_path_factory.mktemp("lived")), Script(seed=5)
    lake.live(script, 22)
    lake.halt("SPY", START + 22 * MINUTE)
    lake.live(script, 3, START + 22 * MINUTE)
    lake.halt("SPY", START + 25 * MINUTE, code="T")
    lake.signals = lake.decide()
    lake.live(script, 5, START + 25 * MINUTE)
    yield lake
    lake.release()


@pytest.fixture
def lake(tmp_path):
    lake = Decided(tmp_path)
    yield lake
    lake.release()


def in_order(rows):
    return sorted(rows, key=lambda row: (row["symbol"], row["window_start"]))


def test_every_bar_is_decided_once_or_has_a_reason(lived):
    signals = in_order(lived.rows(SIGNALS))
    bars = {(row["symbol"], row["window_start"]) for row in lived.rows(FEATURES)}
    assert {(row["symbol"], row["window_start"]) for row in signals} == bars
    assert len(signals) == len(bars)
    assert {row["reason"] for row in signals} == {None, HALTED, WARMING_UP}
    assert all((r["action"] is None) == (r["reason"] is not None) for r in signals)
    assert {r["symbol"] for r in signals if r["reason"] == HALTED} == {"SPY"}
    assert {row["label"] for row in signals} == {"demo model, simulated data"}


def test_accounts_follow_the_signals_by_the_quotes_after_them(lived):
    signals, portfolio = lived.rows(SIGNALS), lived.rows(PORTFOLIO)
    followed = {(row["symbol"], row["window_start"]): row for row in portfolio}
    for before, after in pairwise(in_order(signals)):
        if before["symbol"] == after["symbol"]:
            row = followed[before["symbol"], before["window_start"]]
            for name in ("cash", "shares", "paid_price"):
                assert row[name] == after[name]
            if row["is_filled"]:
                assert row["quote_time_ns"] > before["known_time"].timestamp() * 1e9
            else:
                assert row["shares"] == before["shares"]
    assert {row["side"] for row in portfolio if row["is_filled"]} == {"BUY", "SELL"}


def test_a_backtest_of_what_was_known_decides_as_the_stream_did(lived):
    rows = LakeRows(lived.settings.root, tie(lived.settings.root))
    model = find_version(str(lived.registry), lived.version)
    span = Span([], DAY, DAY)
    assert in_order(decisions(rows, span, model)) == in_order(lived.rows(SIGNALS))

    rules = Rules(Costs(**model.card.costs), counts_by_session=True)
    tapes = read_tapes(rows, span)
    portfolio = in_order(lived.rows(PORTFOLIO))
    for symbol, tape in tapes.items():
        trace = play(deciding(model.networks[0]), tape, rules)
        mine = [row for row in portfolio if row["symbol"] == symbol]
        assert [row["is_filled"] for row in mine] == trace.traded.tolist()
        assert [row["shares"] > 0 for row in mine] == trace.is_long.tolist()


def test_of_a_market_faster_than_the_looks_each_minute_is_decided_in_its_turn(lake):
    script = Script(seed=11)
    for begin in (0, 4):
        lake.live(script, 4, START + begin * MINUTE, decides=False)
        lake.signals.look()
    signals = in_order(lake.rows(SIGNALS))
    assert len(signals) == len(lake.rows(FEATURES)) >= 6 * len(SYMBOLS)
    assert {row["reason"] for row in signals} <= {None, WARMING_UP}
    rows = LakeRows(lake.settings.root, tie(lake.settings.root))
    model = find_version(str(lake.registry), lake.version)
    assert in_order(decisions(rows, Span([], DAY, DAY), model)) == signals
    replay = Replay(lake.settings.root, str(lake.registry))
    assert all(replay.replay(row["signal_id"]).is_identical for row in signals)


def test_a_backtest_of_the_same_versions_has_the_same_hash(lived):
    root, span = lived.settings.root, Span(["AAPL"], DAY, DAY)
    model = find_version(str(lived.registry), lived.version)
    manifest = tie(root)
    first, again = (backtest(root, manifest, model, span) for _ in range(2))
    assert first.result_sha256 == again.result_sha256
    figures = first.figures["AAPL"]
    best = figures["hindsight"].net_return
    assert best >= max(figure.net_return for figure in figures.values())
    with pytest.raises(FixSetup, match="no two bars"):
        backtest(root, manifest, model, Span(["NONE"], DAY, DAY))


def test_signals_replay_to_the_byte_also_after_compaction(lived):
    for contract in (SIGNALS, FEATURES, QUOTES):
        DeltaTable(table_uri(lived.settings.root, contract)).optimize.compact()
    replay = Replay(lived.settings.root, str(lived.registry))
    found = [replay.replay(name) for name in replay.sample(20, seed=0)]
    assert [one.differences for one in found if not one.is_identical] == []
    assert len({one.stored_sha256 for one in found}) == 20
    signal = next(
        s for s in lived.rows(SIGNALS) if s["signal_id"] == found[0].signal_id
    )
    assert found[0].seen["current_price"] == signal["close"]
    assert found[0].seen["cash_balance"] == signal["cash"]
    assert found[0].seen.keys() >= DISPLAYED.keys()
    acted = [row["signal_id"] for row in lived.rows(SIGNALS) if row["action"]]
    assert sorted(replay.sample(10**6, seed=0, decided=True)) == sorted(acted)
    with pytest.raises(FixSetup, match=r"is not in gold\.signals"):
        replay.replay(f"SPY/20261123T000000Z/{lived.version}")


def test_a_backtest_trades_loaded_minutes_at_the_next_open_if_told_a_spread(lake):
    script = Script(seed=3)
    loaded = [
        bar_row("SPY", START - n * MINUTE, 100.0 + n % 7, "history")
        for n in range(110, 70, -1)
    ]
    lake.append(BARS, loaded)
    lake.live(script, 3)
    rows = LakeRows(lake.settings.root)
    live = read_tapes(rows, Span(["SPY"], DAY, DAY))["SPY"]
    tape = read_tapes(rows, Span(["SPY"], DAY, DAY), history_spread_bps=10.0)["SPY"]
    assert np.isnan(live.ask[live.time_ns < nanoseconds(START)]).all()
    assert len(tape) == 41
    assert {row["window_start"] for row in lake.rows(SIGNALS)} == {START}
    assert tape.ask[20] == tape.mark[21] * 1.0005
    assert tape.bid[20] == tape.mark[21] * 0.9995


def come_live(lake, start, delay):
    """Add a bar of SPY that became known so long after its end, without quotes."""
    like = next(row for row in lake.rows(FEATURES) if row["window_start"] == START)
    times = {"window_start": start, "window_end": start + MINUTE}
    known = {"known_time": start + MINUTE + delay, "day": start.date()}
    of = {"bar_source": "alpaca", "bar_revision": 0, "symbol": "SPY"}
    lake.append(BARS, [bar_row("SPY", start, 100.0, "live")])
    lake.append(FEATURES, [like | times | known | of])


def test_a_spread_for_loaded_minutes_fills_no_live_one(lake):
    loaded = [
        bar_row("SPY", START - n * MINUTE, 100.0 + n % 7, "history")
        for n in range(110, 70, -1)
    ]
    lake.append(BARS, loaded)
    lake.live(Script(seed=3), 3)
    is_late, is_unquoted, last = (START + n * MINUTE for n in (10, 30, 40))
    come_live(lake, is_late, 10 * MINUTE)
    for start in (is_unquoted, last):
        come_live(lake, start, SECOND)
    rows, span = LakeRows(lake.settings.root), Span(["SPY"], DAY, DAY)
    tapes = [read_tapes(rows, span, spread)["SPY"] for spread in (None, 10.0)]
    for tape in tapes:
        ends_ns = [nanoseconds(s + MINUTE) for s in (is_late, is_unquoted, last)]
        at = np.isin(tape.time_ns, ends_ns)
        assert at.sum() == 3
        assert np.isnan(tape.ask[at]).all()
        assert np.isnan(tape.bid[at]).all()
    live, told = (tape.ask[tape.time_ns > nanoseconds(START)] for tape in tapes)
    assert np.array_equal(live, told, equal_nan=True)
    assert not np.isnan(told).all()


def test_too_little_history_says_how_much_there_is(lived):
    with pytest.raises(FixSetup, match=r"28 minutes of AAPL exist, 3120 are needed"):
        study_of_lake(lived.settings.root, "AAPL", "", 4.0)


def test_what_is_read_again_changes_nothing_and_a_new_champion_begins_anew(lake):
    script = Script(seed=7)
    lake.live(script, 4)
    before = in_order(lake.rows(SIGNALS)), in_order(lake.rows(PORTFOLIO))
    offsets = Path(lake.settings.checkpoints) / "gold_signals" / "offsets.json"
    offsets.write_text(json.dumps({FEATURES.name: 0}))
    lake.signals = lake.decide()
    lake.signals.look()
    assert (in_order(lake.rows(SIGNALS)), in_order(lake.rows(PORTFOLIO))) == before

    offsets.unlink()
    lake.signals = lake.decide()
    lake.live(script, 1, START + 4 * MINUTE)
    assert len(lake.rows(SIGNALS)) == len(before[0]) + len(SYMBOLS)

    lake.live(script, 2, START + 5 * MINUTE, decides=False)
    lake.signals = lake.decide()
    lake.signals.look()
    late = [row for row in lake.rows(SIGNALS) if row["reason"] == SUPERSEDED]
    assert {row["symbol"] for row in late} == set(SYMBOLS)
    replay = Replay(lake.settings.root, str(lake.registry))
    assert all(replay.replay(row["signal_id"]).is_identical for row in late)

    newer = register(lake.registry, START + MINUTE, seed=9)
    lake.signals.look(everything=True)
    lake.live(script, 1, START + 7 * MINUTE)
    begun = [row for row in lake.rows(SIGNALS) if row["model_version"] == newer]
    assert [row["cash"] for row in begun] == [100_000.0] * len(SYMBOLS)
