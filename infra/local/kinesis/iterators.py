"""Shard iterators: opaque tokens that carry a position and the time of issue.

The token is the state, so iterators survive a restart of the emulator.
"""

import base64
import struct
from dataclasses import dataclass
from hashlib import blake2b

LIFETIME_MS = 300_000
_LAYOUT = struct.Struct(">QQQ")
_CHECK_BYTES = 8
_NOT_OURS = "not a shard iterator"


@dataclass(frozen=True, slots=True)
class ShardIterator:
    """Where a reader stands: ``position`` is the first one it has not read."""

    shard_key: int
    position: int
    issued_ms: int

    def has_expired(self, now_ms: int) -> bool:
        """Tell whether the iterator is more than five minutes old."""
        return now_ms - self.issued_ms > LIFETIME_MS


def encode(iterator: ShardIterator) -> str:
    """Return the token that is handed to the client."""
    body = _LAYOUT.pack(iterator.shard_key, iterator.position, iterator.issued_ms)
    return base64.b64encode(_check(body) + body).decode()


def decode(token: str) -> ShardIterator:
    """Return the iterator of a token.

    Raises:
        ValueError: The token is none of ours.
    """
    try:
        raw = base64.b64decode(token, validate=True)
    except ValueError as error:
        raise ValueError(_NOT_OURS) from error
    check, body = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
    if len(body) != _LAYOUT.size or _check(body) != check:
        raise ValueError(_NOT_OURS)
    return ShardIterator(*_LAYOUT.unpack(body))


def _check(body: bytes) -> bytes:
    return blake2b(body, digest_size=_CHECK_BYTES, person=b"iterator").digest()
