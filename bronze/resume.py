"""Where to go on in Kinesis when bronze has rows and its checkpoint is gone."""

import pyarrow.compute as pc
from deltalake import DeltaTable

from bronze.positions import Position
from conf.lake.roots import table_uri
from conf.lake.streams import Checkpoint
from conf.lake.tables import RECORDS
from conf.settings import LakeSettings


def last_positions(lake: LakeSettings, query: str) -> dict[str, str]:
    """Return shard -> position behind its last record in bronze, or nothing.

    Nothing is returned while the query has planned a batch: then its checkpoint knows
    better. Sequence numbers are decimal text: longer is larger.
    """
    if Checkpoint(lake, query).has_begun():
        return {}
    rows = (
        DeltaTable(table_uri(lake.root, RECORDS))
        .to_pyarrow_dataset()
        .to_table(columns=["shard_id", "sequence_number", "arrival_time"])
    )
    lengths = pc.utf8_length(rows["sequence_number"])
    width = pc.max(lengths).as_py() or 0
    padded = pc.utf8_lpad(rows["sequence_number"], width=width, padding="0")
    last = (
        rows.append_column("padded", padded)
        .group_by("shard_id")
        .aggregate([("padded", "max"), ("arrival_time", "max")])
    )
    return {
        row["shard_id"]: Position.at(
            row["padded_max"].lstrip("0"), row["arrival_time_max"].timestamp()
        )
        for row in last.to_pylist()
    }
