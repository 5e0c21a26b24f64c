"""What finds the outliers of ``gold.anomalies``; warm after a restart too."""

from collections import defaultdict
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from conf.lake.changes import Changes
from conf.lake.roots import table_uri
from conf.lake.splits import read_splits
from conf.lake.tables import ANOMALIES, STATUSES
from conf.market.bars import MINUTE_S
from conf.market.sessions import load_sessions
from conf.market.wire import HALT_CODES
from gold.odd_bars import REACH, OddBars, Splits
from gold.spikes import Context, Spikes

WARM_UP = timedelta(minutes=5)
"""So many trades before are read again after a restart, to know the scales."""
_LIVE = {"kind": ["data"]}
IS_FIRST = (
    (pc.field("bar_length_s") == MINUTE_S)
    & (pc.field("revision") == 0)
    & pc.field("close").is_valid()
)
"""Of a bar: of a minute with prices, as it was first known."""
_NEW_YORK = ZoneInfo("America/New_York")


class Contexts:
    """Halts and price bands, read again when there may be new ones.

    Args:
        root: The lake; the table exists.
    """

    def __init__(self, root: str) -> None:
        self._statuses = DeltaTable(table_uri(root, STATUSES))
        self._context = Context()
        self._context_of: tuple[int, set[date]] | None = None

    def at(self, days: set[date]) -> Context:
        """Return what is known of UTC days and the ones before them."""
        self._statuses.update_incremental()
        told = self._statuses.version(), days
        if told != self._context_of:
            self._context, self._context_of = self._read(days), told
        return self._context

    def _read(self, wanted: set[date]) -> Context:
        days = sorted(wanted | {day - timedelta(days=1) for day in wanted})
        columns = [
            "symbol",
            "event_time_ns",
            "status_code",
            "limit_down_price",
            "limit_up_price",
        ]
        rows = self._statuses.to_pyarrow_dataset().to_table(
            columns, pc.field("day").isin(days)
        )
        halts = defaultdict[str, list[int]](list)
        bands = defaultdict[str, list[tuple[int, float, float]]](list)
        for row in rows.sort_by("event_time_ns").to_pylist():
            moment_ns = row["event_time_ns"]
            if row["status_code"] in HALT_CODES:
                halts[row["symbol"]].append(moment_ns)
            elif row["limit_up_price"] is not None:
                band = moment_ns, row["limit_down_price"], row["limit_up_price"]
                bands[row["symbol"]].append(band)
        return Context(halts, bands)


class PrintDetector:
    """Finds spikes among trades.

    Args:
        trades: Where the batches come from; none was read yet.
        contexts: Of the lake.
    """

    def __init__(self, trades: Changes, contexts: Contexts) -> None:
        self._trades, self._contexts = trades, contexts
        self._known_version = trades.version
        self._spikes = Spikes()
        self._is_warm = False

    def find(self, trades: pa.Table) -> pa.Table:
        """Return the spikes among the trades of the next batch."""
        if not trades.num_rows:
            return ANOMALIES.schema.empty_table()
        if not self._is_warm:
            self._judge(self._before())
            self._is_warm = True
        return self._judge(trades)

    def _judge(self, trades: pa.Table) -> pa.Table:
        """Judge trades in the context of their days and of those that wait for them.

        What was the last of its session is judged days later, but in its own context.
        """
        days = set(pc.unique(trades["event_time"].cast(pa.date32())).to_pylist())
        days |= self._spikes.days_of_open(pc.unique(trades["symbol"]).to_pylist())
        return self._spikes.find(trades, self._contexts.at(days))

    def _before(self) -> pa.Table:
        """Return the newest of what was known before the first batch.

        By version, not by time: what came before the batch may be later than its first
        trade, and some of it waits for its next trade. A print that waits for longer
        than ``WARM_UP`` across a restart is not judged.
        """
        return self._trades.find_newest(self._known_version, WARM_UP, _LIVE)


class BarDetector:
    """Finds odd ones among the bars of our trades.

    Args:
        root: The lake, whose splits it knows.
        bars: Where the batches come from.
        contexts: Of the lake.
    """

    def __init__(self, root: str, bars: Changes, contexts: Contexts) -> None:
        self._bars, self._contexts = bars, contexts
        self._odd_bars = OddBars(load_sessions(), _splits(root))
        self._is_warm = False

    def find(self, bars: pa.Table) -> pa.Table:
        """Return the odd ones among the bars of the next batch."""
        newest: datetime | None = pc.max(bars["window_start"]).as_py()
        if newest is None:
            return ANOMALIES.schema.empty_table()
        if not self._is_warm:
            self._odd_bars.learn(self._before(bars))
            self._is_warm = True
        return self._odd_bars.find(bars, self._contexts.at({newest.date()}))

    def _before(self, bars: pa.Table) -> pa.Table:
        """Return what the table has of a week until the batch became known."""
        since = pc.min(bars["window_start"]).as_py() - REACH
        is_before = (pc.field("day") >= since.date()) & (
            pc.field("known_time") < pc.min(bars["known_time"])
        )
        return self._bars.find(IS_FIRST & is_before, {"source": ["trades"]})


def _splits(root: str) -> Splits:
    splits = defaultdict[str, list[tuple[int, float]]](list)
    for row in read_splits(root).to_pylist():
        ex_date = row["ex_date"]
        begins = datetime(ex_date.year, ex_date.month, ex_date.day, tzinfo=_NEW_YORK)
        ratio = row["new_shares"] / row["old_shares"]
        splits[row["symbol"]].append((int(begins.timestamp()) * 10**9, ratio))
    return splits
