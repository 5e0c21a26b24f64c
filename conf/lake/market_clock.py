"""The market clock as bronze has it: what the newest heartbeat says."""

from datetime import UTC, datetime, timedelta

import pyarrow.compute as pc
from deltalake import DeltaTable

from conf.lake.roots import table_uri
from conf.lake.tables import RECORDS
from conf.market.envelope import HEARTBEAT_KEY, unpack

_LOOK_BACK = timedelta(seconds=30)


class MarketClock:
    """Reads the market clock when no trade tells it.

    Args:
        root: The lake.
    """

    def __init__(self, root: str) -> None:
        self._records = DeltaTable(table_uri(root, RECORDS))

    def read(self, now: datetime) -> datetime | None:
        """Return the newest market time, or None if no heartbeat came lately.

        Args:
            now: Wall clock.
        """
        self._records.update_incremental()
        since = now - _LOOK_BACK
        is_heartbeat = (
            pc.field("day").isin([since.date(), now.date()])
            & (pc.field("arrival_time") >= since)
            & (pc.field("partition_key") == HEARTBEAT_KEY)
        )
        found = self._records.to_pyarrow_dataset().to_table(["data"], is_heartbeat)
        times_ns = [
            line.market_time_ns
            for payload in found["data"].to_pylist()
            for line in unpack(payload)[1]
        ]
        if not times_ns:
            return None
        return datetime.fromtimestamp(0, UTC) + timedelta(
            microseconds=max(times_ns) // 1000
        )
