"""A transition of a gap: what the producer says of an interval that it may have missed.

Such a message is a line of a wire record of kind ``gap`` (``envelope``), beside those
of Alpaca and parsed like them, but its names are ours.
"""

import msgspec

MESSAGE_TYPE = "gap"
EVERY_SYMBOL = "*"
"""Symbol of a gap when everything is subscribed, or the channel has no symbols."""

OPEN_STATES = ("opened", "late")
"""States of a gap that is still to be filled, in their order."""
END_STATES = ("backfilled", "halted", "closed_market", "lost")
"""One of them is the last state of a gap."""


class GapTransition(
    msgspec.Struct,
    frozen=True,
    gc=False,
    omit_defaults=True,
    tag_field="T",
    tag=MESSAGE_TYPE,
    rename={"symbol": "S", "event_time": "t", "start": "from", "end": "to"},
):
    """One state of one gap: an interval of one symbol and channel.

    ``event_time`` is the market clock of the transition, ``start`` (inclusive) and
    ``end`` (exclusive, absent while open) are those of the interval; RFC 3339, UTC.
    ``rows`` counts the messages that backfill published, copies included.
    """

    symbol: str
    event_time: str
    gap_id: str
    state: str
    channel: str
    cause: str
    start: str
    end: str | None = None
    rows: int | None = None
    detail: str | None = None
