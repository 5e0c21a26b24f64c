"""Nothing that is told, seen, decided or filled knows what comes after."""

import shutil
from datetime import date
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from conf.lake.roots import table_uri
from conf.lake.tables import FEATURES, PORTFOLIO, SIGNALS
from models.lake_proof import proves_honest
from models.lake_rows import LakeRows
from models.lake_tape import Span
from tests.integration.lake.decided import MINUTE, START, Decided
from tests.integration.lake.scripted import SYMBOLS, Script

DAY = date(2026, 11, 23)
SPAN = Span([], DAY, DAY)
MINUTES = 26
FUTURES = (1, 2)
TABLES = (FEATURES, SIGNALS, PORTFOLIO)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    """Return lakes with one past, and a future each; and what was told of the past."""
    told = []
    for future in FUTURES:
        lake, script = Decided(tmp_path_factory.mktemp("world")), Script(seed=5)
        lake.live(script, MINUTES)
        past = {table.name: by_key(lake, table) for table in TABLES}
        script.random = Random(future)
        # Of the past by their event time, of the future by when they come.
        now = START + MINUTES * MINUTE
        script.trade(now - 2 * MINUTE, now, symbol="AAPL", conditions=["@"])
        script.correction(script.trades[0], now)
        lake.live(script, 4, now)
        told.append((lake, past))
    yield told
    for lake, _ in told:
        lake.release()


def by_key(lake, contract):
    return {
        tuple(row[name] for name in contract.key): row for row in lake.rows(contract)
    }


@pytest.mark.parametrize("contract", TABLES, ids=lambda table: table.name)
def test_another_future_changes_nothing_that_was_told_before(worlds, contract):
    """Features, observations, actions and fills, made anew beside another future."""
    (_, past), (_, same_past) = worlds
    assert past[contract.name] == same_past[contract.name]
    assert len(past[contract.name]) >= (MINUTES - 3) * len(SYMBOLS)
    for lake, _ in worlds:
        now = by_key(lake, contract)
        assert {key: now[key] for key in past[contract.name]} == past[contract.name]


def test_what_follows_is_another(worlds):
    """Or the test before could not have seen that something of it is used."""
    (one, past), (other, _) = worlds
    told = (FEATURES, "return_1m"), (SIGNALS, "features"), (PORTFOLIO, "close")
    for contract, column in told:
        first, second = by_key(one, contract), by_key(other, contract)
        after = (first.keys() & second.keys()) - past[contract.name].keys()
        assert any(first[key][column] != second[key][column] for key in after)
    actions = {row["action"] for row in by_key(one, SIGNALS).values()}
    assert actions >= {"BUY", "SELL"}
    assert any(row["is_filled"] for row in by_key(one, PORTFOLIO).values())


@pytest.mark.parametrize("seed", range(3))
def test_a_lake_that_lived_is_proved_corrections_and_all(worlds, seed):
    for lake, _ in worlds:
        assert any(row["revision"] for row in lake.rows(FEATURES))
        assert proves_honest(LakeRows(lake.settings.root), SPAN, seed) == []


def next_bar(values: np.ndarray) -> np.ndarray:
    return np.append(values[1:], values[-1])


def centred(values: np.ndarray) -> np.ndarray:
    return np.convolve(values, np.ones(3) / 3, mode="same")


@pytest.mark.parametrize("name", ["return_1m", "price_change", "bid_price"])
@pytest.mark.parametrize("leak", [next_bar, centred])
def test_a_leak_in_the_table_is_found(worlds, tmp_path, name, leak):
    root = str(shutil.copytree(worlds[0][0].settings.root, tmp_path / "lake"))
    uri = table_uri(root, FEATURES)
    order = [("symbol", "ascending"), ("window_start", "ascending")]
    rows = DeltaTable(uri).to_pyarrow_table().sort_by(order)
    place = rows.schema.get_field_index(name)
    spoilt = pa.array(leak(np.nan_to_num(rows[name].to_numpy())))
    rows = rows.set_column(place, rows.schema.field(name), spoilt)
    write_deltalake(uri, rows, mode="overwrite")
    found = proves_honest(LakeRows(root), SPAN)
    assert any(line.startswith(f"{name} of ") for line in found)
