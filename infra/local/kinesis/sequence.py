"""Positions in a shard, and the 56-digit sequence numbers made from them.

A position is an arrival time and a counter in one integer::

    position = arrival_ms << 20 | counter        63 bits until the year 2248

so the order of storage, the order of time and the order of sequence numbers are one
order: AT_TIMESTAMP and retention are positions too, and need no index of their own.
A sequence number wraps the position as AWS's "version 2" does, in hexadecimal digits::

    2 | shard created, s | shard | position | 00 | arrival, s | shard | 2
    1 |        9         |   1   |    16    |  2 |     9      |   8   | 1
"""

COUNTER_BITS = 20
_POSITION_SHIFT, _ARRIVAL_SHIFT = 80, 36
_POSITION_MASK = (1 << 64) - 1


def position_at(time_ms: int) -> int:
    """Return the first position of a millisecond."""
    return time_ms << COUNTER_BITS


def arrival_ms(position: int) -> int:
    """Return the arrival time of a position, in ms since the epoch."""
    return position >> COUNTER_BITS


def next_position(last_position: int, now_ms: int) -> int:
    """Return a position above the last one, even when the clock was set back."""
    return max(last_position + 1, position_at(now_ms))


def sequence_base(shard_index: int, created_ms: int) -> int:
    """Return the part that all sequence numbers of one shard share."""
    shard_bits = (shard_index & 0xF) << 144 | shard_index << 4
    return 2 << 184 | created_ms // 1000 << 148 | shard_bits | 2


def sequence_number(base: int, position: int) -> str:
    """Return the sequence number of a position in the shard with this base."""
    arrival_s = arrival_ms(position) // 1000
    return str(base | position << _POSITION_SHIFT | arrival_s << _ARRIVAL_SHIFT)


def position_of(base: int, number: str) -> int:
    """Return the position a sequence number stands for.

    Raises:
        ValueError: No record of the shard with this base can have that number.
    """
    position = int(number) >> _POSITION_SHIFT & _POSITION_MASK
    if sequence_number(base, position) != number:
        msg = f"{number} is no sequence number of this shard"
        raise ValueError(msg)
    return position
