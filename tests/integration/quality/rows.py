"""Rows that keep every rule, whatever their table, and the settings to check them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from conf.lake.tables import TableContract
from conf.settings import LakeSettings, Settings
from tests.integration.research import lakes

NOW = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
_GOOD: dict[str, object] = {
    "window_end": NOW + MINUTE,
    "end_time": NOW + MINUTE,
    "kind": "data",
    "match_state": "pending",
    "state": "opened",
    "window_length_s": 60,
    "bar_length_s": 60,
    "price_sum_e6": Decimal(1_000_000),
    "price_buckets": [{"low_e6": 0, "high_e6": 2_000_000, "trade_count": 1}],
}


def good(contract: TableContract, **changes: Any) -> dict[str, Any]:
    """Return a row that keeps every rule, but for what is changed."""
    known = {name: _GOOD[name] for name in _GOOD if name in contract.column_names}
    return lakes.row(contract, NOW, **known) | changes


def settings_of(folder: Path, **changes: Any) -> Settings:
    """Return the settings of a lake below ``folder``."""
    place = {"root": str(folder / "lake"), "checkpoints": str(folder / "checkpoints")}
    return Settings(var=folder, lake=LakeSettings(**place), **changes)
