"""Gap transitions as wire records of kind ``gap``."""

import msgspec

from conf.market.envelope import Line, encode_header, encode_line, pack
from conf.market.gaps import GapTransition
from producer.batcher import Record

GAP_KEY = "gap"
"""Partition key of gap records; symbols are in capitals."""

_LINES = 80  # of some 250 bytes: less than a record's 25 KB


class Announcer:
    """Counts the transitions of one run.

    Args:
        run: Names the run; the epoch of its gap records.
        source: Where the messages come from, as ``alpaca/iex``.
    """

    def __init__(self, run: str, source: str) -> None:
        self._header = encode_header("gap", run, source)
        self._count = 0

    def records(
        self,
        transitions: list[GapTransition],
        receive_time_ns: int,
        market_time_ns: int,
        now_ms: float,
    ) -> list[Record]:
        """Return the records of some transitions, in order."""
        lines = []
        for transition in transitions:
            message = msgspec.Raw(msgspec.json.encode(transition))
            place = (self._count, 0, receive_time_ns, market_time_ns)
            lines.append(encode_line(Line(*place, message=message)))
            self._count += 1
        parts = [lines[n : n + _LINES] for n in range(0, len(lines), _LINES)]
        return [
            Record(GAP_KEY, pack(self._header, part), len(part), now_ms)
            for part in parts
        ]
