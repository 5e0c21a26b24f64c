"""Where to go on in Kinesis when bronze has rows and its checkpoint is gone."""

import pyarrow.compute as pc
from deltalake import DeltaTable

from conf.lake.roots import table_uri
from conf.lake.streams import Checkpoint
from conf.lake.tables import RECORDS
from conf.settings import LakeSettings


def last_sequence_numbers(lake: LakeSettings, query: str) -> dict[str, str]:
    """Return shard -> highest sequence number in bronze, or nothing.

    Nothing is returned while the query has planned a batch: then its checkpoint knows
    better. Sequence numbers are decimal text: longer is larger.
    """
    if Checkpoint(lake, query).has_begun():
        return {}
    rows = (
        DeltaTable(table_uri(lake.root, RECORDS))
        .to_pyarrow_dataset()
        .to_table(columns=["shard_id", "sequence_number"])
    )
    lengths = pc.utf8_length(rows["sequence_number"])
    width = pc.max(lengths).as_py() or 0
    padded = pc.utf8_lpad(rows["sequence_number"], width=width, padding="0")
    highest = (
        rows.append_column("padded", padded)
        .group_by("shard_id")
        .aggregate([("padded", "max")])
    )
    return {
        row["shard_id"]: row["padded_max"].lstrip("0") for row in highest.to_pylist()
    }
