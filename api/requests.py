"""What may be asked: the query parameters of each list, and the cursors of its pages.

A cursor is the key of the last row of a page, so a page never depends on how many rows
arrived since: the next one goes on behind that key.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar, cast

import msgspec
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Key = TypeVar("Key")
BAR_LENGTHS_S = {"1m": 60, "5m": 300, "15m": 900, "1h": 3600}
Symbol = Annotated[
    str, Field(pattern=r"^[A-Z][A-Z0-9./-]{0,19}$", description="Ticker, in capitals")
]


def encode_cursor(key: Sequence[int | str]) -> str:
    """Return a key as opaque text."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


class Paging(BaseModel, Generic[Key]):
    """One page of a list whose rows are named by ``Key``."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    key_type: ClassVar[Any]

    limit: int = Field(100, ge=1, le=1000, description="Most items of a page")
    cursor: str | None = Field(
        None, max_length=512, description="`next_cursor` of the page before"
    )

    @field_validator("cursor")
    @classmethod
    def _is_ours(cls, cursor: str | None) -> str | None:
        if cursor is not None:
            try:
                cls._decoded(cursor)
            except (binascii.Error, msgspec.DecodeError, UnicodeError) as error:
                raise ValueError("It must be a next_cursor of this list") from error
        return cursor

    @property
    def after(self) -> Key | None:
        """The key behind which the page begins; None: at the beginning."""
        return None if self.cursor is None else self._decoded(self.cursor)

    @classmethod
    def _decoded(cls, cursor: str) -> Key:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, b"-_", validate=True)
        return cast("Key", msgspec.json.decode(text, type=cls.key_type))


class _Span(Paging[Key]):
    start: AwareDatetime | None = Field(
        None,
        description="Inclusive; RFC 3339 with Z or an offset",
        examples=["2026-11-23T14:30:00Z"],
    )
    end: AwareDatetime | None = Field(
        None,
        description="Exclusive; RFC 3339 with Z or an offset",
        examples=["2026-11-23T15:00:00Z"],
    )


class _Ticks(_Span[Key]):
    symbol: Symbol | None = Field(None, description="Left out: every symbol")


class SymbolsQuery(Paging[tuple[str]]):
    """A page of the symbols."""

    key_type = tuple[str]


class TradesQuery(_Ticks[tuple[int, str, str, int]]):
    """Which trades; key: event_time_ns, symbol, exchange, trade_id."""

    key_type = tuple[Int64, str, str, Int64]


class QuotesQuery(_Ticks[tuple[int, str, int, int]]):
    """Which quotes; key: event_time_ns, symbol, quote_hash, occurrence."""

    key_type = tuple[Int64, str, Int64, Int64]


class BarsQuery(_Span[tuple[int]]):
    """Which bars; key: window_start in microseconds."""

    key_type = tuple[Int64]
    symbol: Symbol
    bar_length: Literal["1m", "5m", "15m", "1h"] = Field(
        "1m", description="Longer ones are folded from minutes"
    )

    @property
    def bar_length_s(self) -> int:
        """Length in seconds."""
        return BAR_LENGTHS_S[self.bar_length]


class StatsQuery(Paging[tuple[int, str]]):
    """Which statistics; key: window_start in microseconds, symbol."""

    key_type = tuple[Int64, str]

    symbol: Symbol | None = Field(
        None, description="Left out: the newest window of every symbol"
    )
    window: Literal["1m", "5m", "15m", "1h"] = Field(
        "1m", description="Length of the window; the longer ones end with every minute"
    )
