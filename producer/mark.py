"""What a producer knows at one moment, and the next one must know, too."""

import msgspec

from producer.gaps import Outage


class Mark(msgspec.Struct, frozen=True, omit_defaults=True):
    """State of a run, beside what the spool holds.

    Everything that connection ``epoch`` received before ``received_until_ns`` (market
    time, 0 = nothing) is kept: in the spool if the mark is from there, in the stream if
    it is from a heartbeat. ``channels`` is what was subscribed, ``open_gaps`` what is
    not settled. ``bars`` has the trades of the newest bars by symbol, then minute: who
    goes on knows by them what history has restated since.
    """

    epoch: str = ""
    received_until_ns: int = 0
    channels: dict[str, list[str]] = {}
    open_gaps: list[Outage] = []
    bars: dict[str, dict[str, int]] = {}
