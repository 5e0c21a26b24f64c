"""Rows of REST history as the messages that the stream would have sent.

The same keys, so that silver finds a copy to be a copy: a row gets ``T`` and ``S``, a
quote the number that it has among identical ones of its time, from the first of them.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from conf.market.rfc3339 import parse_ns
from conf.market.wire import Head
from producer.protocol import Message
from producer.relay import Row
from producer.seen import Seen

_MINUTE_NS = 60_000_000_000
# a bar comes a moment after its minute: one that closed just before a gap was in it
_BAR_DELAY_NS = 5_000_000_000

_OF_CANCEL = ["i", "x", "p", "s", "t", "z"]

Fields = dict[str, Any]


class Rows:
    """Turns one answer's pages, each symbol in time order, into messages.

    Args:
        seen: What the feed told already.
        from_ns: Begin of the gap, market time.
        to_ns: Its end.
    """

    def __init__(self, seen: Seen, from_ns: int, to_ns: int) -> None:
        self._seen, self._from_ns, self._to_ns = seen, from_ns, to_ns
        self._index = 0
        self._time: tuple[str, str] | None = None
        self._alike: dict[bytes, int] = {}
        self._incorrect: dict[str, Fields] = {}
        self.bars: list[Message] = []
        """The bars among the messages."""

    def start_page(self) -> None:
        """Count from 0 again: a message's place is its page and index."""
        self._index = 0

    def of(self, resource: str, symbol: str, row: Fields) -> Iterator[Row]:
        """Yield the messages of one row of ``trades``, ``quotes`` or ``bars``."""
        match resource:
            case "trades":
                yield from self._trade(symbol, row)
            case "quotes":
                yield self._quote(symbol, row)
            case "bars":
                found = list(self._bar(symbol, row))
                self.bars += [each.message for each in found]
                yield from found

    def _quote(self, symbol: str, row: Fields) -> Row:
        quote = self._message("q", symbol, row)
        if (symbol, row["t"]) != self._time:
            self._time, self._alike = (symbol, row["t"]), {}
        data = bytes(quote.data or b"")
        before = self._alike.get(data, 0)
        self._alike[data] = before + 1
        return Row(quote, before)

    def _trade(self, symbol: str, row: Fields) -> Iterator[Row]:
        """Yield a trade, and what became of it unless the feed told.

        REST marks a trade with ``u``: canceled, or incorrect and followed by what is
        correct, which is no print of its own.
        """
        became = row.pop("u", None)
        wrong = self._incorrect.pop(symbol, None)
        if wrong is not None and (wrong["t"], wrong["x"]) == (row["t"], row["x"]):
            if not self._seen.is_amended(("c", symbol, wrong["x"], wrong["i"])):
                yield Row(self._message("c", symbol, _correction(wrong, row)), 0)
        elif became != "corrected":
            yield Row(self._message("t", symbol, row), 0)
        if became == "incorrect":
            self._incorrect[symbol] = row
        amendment = ("x", symbol, row["x"], row["i"])
        if became == "canceled" and not self._seen.is_amended(amendment):
            kept = {key: row[key] for key in _OF_CANCEL if key in row}
            yield Row(self._message("x", symbol, kept | {"a": "C"}), 0)

    def _bar(self, symbol: str, row: Fields) -> Iterator[Row]:
        """Yield a bar that closed in the gap, or a restatement of one told before."""
        closed_ns = parse_ns(row["t"]) + _MINUTE_NS
        if closed_ns > self._to_ns:
            return  # the feed will tell it
        told = self._seen.trade_count(symbol, row["t"])
        if told is None and closed_ns > self._from_ns - _BAR_DELAY_NS:
            yield Row(self._message("b", symbol, row), 0)
        elif told is not None and row.get("n", told) != told:
            yield Row(self._message("u", symbol, row), 0)

    def _message(self, kind: str, symbol: str, fields: Fields) -> Message:
        data = msgspec.json.encode({"T": kind, "S": symbol, **fields})
        message = Message(
            self._index, Head(kind, symbol, fields["t"]), msgspec.Raw(data)
        )
        self._index += 1
        return message


def _correction(wrong: Fields, right: Fields) -> Fields:
    """Return a correction; REST does not say when it came, so it has the trade's time.

    Asked for again it is therefore the same message.
    """
    fields = {
        "x": wrong["x"], "oi": wrong["i"], "op": wrong["p"], "os": wrong["s"],
        "oc": wrong.get("c"), "ci": right["i"], "cp": right["p"], "cs": right["s"],
        "cc": right.get("c"), "t": wrong["t"], "z": wrong.get("z"),
    }  # fmt: skip
    return {key: value for key, value in fields.items() if value is not None}
