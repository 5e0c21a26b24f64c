"""What a person, or a program, reads of records."""

from collections import Counter
from collections.abc import Callable

import msgspec

from conf.market.envelope import Line
from producer.tail import Seen


class TailView:
    """Shows records one by one, then how many there were.

    Args:
        echo: Takes a line of text.
        as_json: One JSON object a line.
        heads: Without the messages.
    """

    def __init__(
        self, echo: Callable[[str], None], *, as_json: bool, heads: bool
    ) -> None:
        self._echo, self._as_json, self._heads = echo, as_json, heads
        self._kinds: Counter[str] = Counter()
        self._messages = 0
        self.unreadable = 0
        """Records that are none of ours."""

    def show(self, seen: Seen) -> None:
        """Show one record."""
        self._messages += len(seen.lines)
        if seen.header is None:
            self.unreadable += 1
        else:
            self._kinds[seen.header.kind] += 1
        shown = seen
        if self._heads:
            shown = msgspec.structs.replace(seen, lines=[])
        if self._as_json:
            self._echo(msgspec.json.encode(shown).decode())
            return
        self._echo(_head(seen))
        for line in shown.lines:
            self._echo(f"    {line.frame}.{line.index}  {_text(line)}")

    def end(self) -> None:
        """Show the counts."""
        records = self._kinds.total() + self.unreadable
        counts = {
            "records": records,
            "messages": self._messages,
            "kinds": dict(self._kinds),
            "unreadable": self.unreadable,
        }
        if self._as_json:
            self._echo(msgspec.json.encode(counts).decode())
            return
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in self._kinds.items())
        self._echo(f"{records:,} records ({kinds}), {self._messages:,} messages")


def _head(seen: Seen) -> str:
    place = f"{seen.arrival:%H:%M:%S.%f}  {seen.shard_id}  {seen.sequence_number}"
    if seen.header is None:
        return f"{place}  {seen.partition_key}  {seen.bytes} bytes  {seen.error}"
    late = " late" if seen.header.late else ""
    what = f"{seen.header.kind}{late} {seen.header.source} {seen.header.epoch}"
    return f"{place}  {seen.partition_key}  {what}  {len(seen.lines)} messages"


def _text(line: Line) -> str:
    if isinstance(line.message, msgspec.Raw):
        return bytes(line.message).decode()
    return f"{line.error}: {line.raw!r}"
