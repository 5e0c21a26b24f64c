"""Event times between RFC 3339 text and nanoseconds since 1970, without loss."""

import functools
import re
from datetime import UTC, datetime

_TIME = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII
)
_NS_PER_S = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@functools.lru_cache(maxsize=4096)
def _parse_second(second: str, offset: str) -> int:
    since = datetime.fromisoformat(second + offset) - _EPOCH
    return since.days * 86_400 + since.seconds


@functools.lru_cache(maxsize=4096)
def _format_second(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]
    except (OverflowError, OSError) as error:
        raise ValueError(f"second {seconds} is outside the years 1 to 9999") from error


def parse_ns(text: str) -> int:
    """Return the nanoseconds since 1970 of an RFC 3339 time.

    Raises:
        ValueError: The text is no such time, or has more than nine decimals.
    """
    parts = _TIME.fullmatch(text)
    if parts is None:
        raise ValueError(f"{text!r} is no RFC 3339 time")
    second, decimals, offset = parts.groups()
    return _parse_second(second, offset) * _NS_PER_S + int(
        (decimals or "").ljust(9, "0")
    )


def format_ns(time_ns: int) -> str:
    """Return UTC text with exactly the decimals needed, as Alpaca writes it.

    Raises:
        ValueError: The time is outside the years 1 to 9999.
    """
    seconds, nanoseconds = divmod(time_ns, _NS_PER_S)
    if nanoseconds == 0:
        return f"{_format_second(seconds)}Z"
    return f"{_format_second(seconds)}.{nanoseconds:09d}".rstrip("0") + "Z"
