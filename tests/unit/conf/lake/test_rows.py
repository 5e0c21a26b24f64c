"""Conditions on texts, whoever wrote the file."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable, write_deltalake

from conf.lake.rows import find_rows
from conf.lake.tables import DOUBLE, STRING, Column, TableContract

PRICES = TableContract(
    name="silver.prices",
    grain="one price",
    columns=(Column("symbol", STRING, ""), Column("price", DOUBLE, "")),
    key=("symbol",),
    partition_by=(),
    event_column="price",
    writer="tests",
)


@pytest.fixture
def merged(tmp_path: Path) -> DeltaTable:
    """A table in a file that deltalake's MERGE has written."""
    rows = pa.table({"symbol": ["AAPL", "MSFT"], "price": [1.0, 2.0]}, PRICES.schema)
    write_deltalake(tmp_path, rows)
    table = DeltaTable(tmp_path)
    table.merge(
        rows.slice(1),
        predicate="old.symbol = new.symbol",
        source_alias="new",
        target_alias="old",
    ).when_matched_update_all().execute()
    return table


def test_a_text_is_found_in_a_file_of_a_merge(merged: DeltaTable):
    found = find_rows(merged, PRICES, ["price"], of={"symbol": ["MSFT", "TSLA"]})
    assert found.to_pydict() == {"price": [2.0]}


def test_arrow_itself_does_not_find_it(merged: DeltaTable):
    # When this fails, ``of`` may become part of ``where``.
    with pytest.raises(pa.ArrowNotImplementedError, match="string_view"):
        merged.to_pyarrow_dataset().to_table(filter=pc.field("symbol") == "MSFT")


def test_conditions_on_numbers_and_texts_both_hold(merged: DeltaTable):
    where = pc.field("price") > 1.5
    found = find_rows(merged, PRICES, ["symbol"], where, {"symbol": ["AAPL", "MSFT"]})
    assert found.to_pydict() == {"symbol": ["MSFT"]}
