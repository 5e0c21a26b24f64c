"""What fed the minutes of a lake: the header of the wire records tells.

A bar that came over the wire names its record, which is in bronze with its header. The
trades and quotes of its minute came over the same connection.
"""

import operator
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import reduce
from typing import NamedTuple

import msgspec
import pyarrow.compute as pc
import pyarrow.dataset as ds

from conf.errors import FixSetup
from conf.lake.tables import BARS, RECORDS
from conf.market.bars import MINUTE_S
from conf.market.envelope import split
from models.card import UNKNOWN_FEED
from models.lake_rows import LakeRows

_REAL = ("alpaca/iex", "alpaca/sip")
_ROUNDED = timedelta(milliseconds=1)
"""Statistics of a file may be cut to so much."""


class _Place(NamedTuple):
    arrival_time: datetime
    shard_id: str
    sequence_number: str


def is_real(feed: str) -> bool:
    """Return whether a feed is a real market's, all of it."""
    return all(source in _REAL for source in feed.split(", "))


def feed_of(rows: LakeRows, symbol: str) -> str:
    """Return what fed a symbol's minutes: ``simulator/iex``; several by commas.

    ``UNKNOWN_FEED`` is among them if bronze no longer has the record of a connection,
    or no bar came over the wire.
    """
    try:
        places = _places(rows, symbol)
        sources = _sources(rows, places) if places else {}
    except FixSetup:
        return UNKNOWN_FEED
    found = {sources.get(place, UNKNOWN_FEED) for place in places.values()}
    return ", ".join(sorted(found)) or UNKNOWN_FEED


def _places(rows: LakeRows, symbol: str) -> dict[str | None, _Place]:
    """Return a record of each connection that told of bars."""
    where = (pc.field("bar_length_s") == MINUTE_S) & pc.field("arrival_time").is_valid()
    of = {"symbol": [symbol], "source": ["alpaca"]}
    bars = rows.find(BARS, ("epoch", *_Place._fields), where, of)
    return {
        row["epoch"]: _Place(*(row[name] for name in _Place._fields))
        for row in bars.to_pylist()
    }


def _sources(rows: LakeRows, places: Mapping[str | None, _Place]) -> dict[_Place, str]:
    columns = ("data", *_Place._fields)
    where = reduce(operator.or_, map(_near, places.values()))
    of = {"sequence_number": {place.sequence_number for place in places.values()}}
    return {
        _Place(*(row[name] for name in _Place._fields)): _source(row["data"])
        for row in rows.find(RECORDS, columns, where, of).to_pylist()
    }


def _near(place: _Place) -> ds.Expression:
    at, time = place.arrival_time, pc.field("arrival_time")
    return (
        (pc.field("day") == at.date())
        & (time >= at - _ROUNDED)
        & (time <= at + _ROUNDED)
    )


def _source(payload: bytes) -> str:
    try:
        return split(payload)[0].source
    except msgspec.DecodeError:
        return UNKNOWN_FEED
