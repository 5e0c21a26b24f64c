"""Tables come into being readable by everyone, and an older lake is refused."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from conf.errors import FixSetup
from conf.lake.create import ensure_tables
from conf.lake.roots import table_uri
from conf.lake.tables import REJECTS, TABLES, TableContract
from tests.unit.conf.lake.rows import reject


def open_table(root: Path, contract: TableContract) -> DeltaTable:
    return DeltaTable(table_uri(str(root), contract))


@pytest.mark.parametrize("contract", TABLES.values(), ids=TABLES)
def test_a_table_is_made_as_its_contract_says_for_the_oldest_readers(
    tmp_path: Path, contract: TableContract
):
    ensure_tables(str(tmp_path), [contract])
    table = open_table(tmp_path, contract)
    protocol, metadata = table.protocol(), table.metadata()

    assert pa.schema(table.schema()) == contract.schema
    assert metadata.partition_columns == list(contract.partition_by)
    assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2)
    assert not protocol.reader_features
    assert not protocol.writer_features
    assert not {
        "delta.enableDeletionVectors",
        "delta.columnMapping.mode",
        "delta.enableTypeWidening",
        "delta.checkpointPolicy",
    } & set(metadata.configuration)


def test_a_second_call_keeps_the_table_and_its_rows(tmp_path: Path):
    ensure_tables(str(tmp_path), [REJECTS])
    write_deltalake(open_table(tmp_path, REJECTS), reject(), mode="append")

    ensure_tables(str(tmp_path), [REJECTS])
    table = open_table(tmp_path, REJECTS)

    assert table.version() == 1
    assert table.to_pyarrow_table().num_rows == 1


def test_a_table_of_another_contract_version_is_refused_and_untouched(tmp_path: Path):
    ensure_tables(str(tmp_path), [REJECTS])
    newer = replace(REJECTS, version=REJECTS.version + 1)

    with pytest.raises(
        FixSetup, match=r"contract 1.*contract 2.*make reset"
    ) as refused:
        ensure_tables(str(tmp_path), [newer])

    assert refused.value.where == "silver.rejects"
    assert open_table(tmp_path, REJECTS).version() == 0
