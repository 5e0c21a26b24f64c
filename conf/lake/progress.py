"""How far a streaming query has read a table, told without Spark by its checkpoint."""

from pathlib import Path

import msgspec

from conf.lake.roots import absolute


class _Offset(msgspec.Struct):
    """The place in a Delta table up to which a batch goes, as Delta's source has it."""

    version: int = msgspec.field(name="reservoirVersion")
    is_first: bool = msgspec.field(name="isStartingVersion", default=False)


def read_until(checkpoints: str, query: str) -> int | None:
    """Return the version up to which a query has read and written everything.

    Args:
        checkpoints: Folder of all checkpoints, on this machine.
        query: Its name; it reads one Delta table.

    Returns:
        A version of that table, or None if the query has not finished a batch, or its
        checkpoint is not on this machine.
    """
    folder = Path(absolute(checkpoints)) / query
    done = [int(f.name) for f in (folder / "commits").glob("[0-9]*") if f.is_file()]
    if not done:
        return None
    planned = folder / "offsets" / str(max(done))
    # A version line, the batch's metadata, then one line for the table.
    place = planned.read_text(encoding="utf-8").splitlines()[2]
    offset = msgspec.json.decode(place, type=_Offset)
    # The version that it names may be begun only; the first is all rows until then.
    return None if offset.is_first else offset.version - 1
