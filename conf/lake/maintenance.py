"""What keeps a lake small: dropping its oldest days, and files no version needs.

Only the process that writes the tables may call this.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from deltalake import DeltaTable

from conf.lake.roots import table_uri
from conf.lake.tables import TableContract


def drop_oldest_day(root: str, contracts: Iterable[TableContract]) -> str | None:
    """Delete the oldest closed day that any table holds, and its files from the disk.

    A day is closed when a table holds two newer ones: late rows reach back six hours.
    Nothing is written there any more; older versions of the table lose the day too.

    Args:
        root: The lake, a local folder.
        contracts: Tables partitioned by ``day`` first.

    Returns:
        The day, as RFC 3339 text, or None if no day is closed.
    """
    closed = {contract: _closed_days(root, contract) for contract in contracts}
    oldest = min((day for days in closed.values() for day in days), default=None)
    for contract, days in closed.items():
        if oldest in days:
            uri = table_uri(root, contract)
            DeltaTable(uri).delete(f"day = '{oldest}'")
            shutil.rmtree(Path(uri) / f"day={oldest}", ignore_errors=True)
    return oldest


def _closed_days(root: str, contract: TableContract) -> list[str]:
    partitions = DeltaTable(table_uri(root, contract)).partitions()
    return sorted({str(partition["day"]) for partition in partitions})[:-2]


def remove_unused_files(table: DeltaTable) -> None:
    """Remove the files that no version younger than the table's retention needs."""
    table.vacuum(dry_run=False)
