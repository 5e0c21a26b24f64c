"""Nanoseconds as the text that every answer of the API has for a time."""

import functools
from datetime import UTC, datetime


def time_text(time_ns: int) -> str:
    """Return RFC 3339 in UTC, cut to microseconds as the tables are."""
    seconds, ns = divmod(time_ns, 1_000_000_000)
    return f"{_second(seconds)}.{ns // 1000:06d}Z"


@functools.lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
