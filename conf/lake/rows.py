"""Rows of a table that meet a condition, read with Arrow: no SQL, no Spark."""

from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable

from conf.lake.tables import TableContract

Texts = Mapping[str, Collection[str]]
"""The texts that a row may have, by column."""

ANY_TEXT: Texts = {}
_ALL = pc.scalar(True)


def find_rows(
    table: DeltaTable,
    contract: TableContract,
    columns: Sequence[str],
    where: ds.Expression = _ALL,
    of: Texts = ANY_TEXT,
) -> pa.Table:
    """Return rows of the table's version that meet a condition, typed by contract.

    Args:
        table: One version of it.
        contract: The table.
        columns: Those wanted.
        where: On days, times, numbers and what the table is partitioned by; files are
            skipped by it.
        of: The texts wanted. deltalake's MERGE and compaction write texts as
            ``string_view``, whose statistics Arrow compares with no other text: as part
            of ``where`` they would fail as soon as such a file is there.
    """
    read = list(dict.fromkeys([*columns, *of]))
    schema = pa.schema([contract.schema.field(name) for name in read])
    rows = table.to_pyarrow_dataset().to_table(read, where).cast(schema)
    for name, texts in of.items():
        rows = rows.filter(pc.field(name).isin(sorted(texts)))
    return rows.select(list(columns))
