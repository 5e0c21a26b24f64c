"""Recorded messages as a schedule, byte for byte as they were recorded.

``producer.recording`` has the format. Files are read as they are needed.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

from conf.errors import FixSetup
from producer.recording import Recorded, files_of, merged
from producer.simulator.batch import Batch, LinearClock
from producer.simulator.faults import FLAGS, NORMAL
from producer.simulator.slots import SECOND_NS

BATCH_MESSAGES = 512


class Replay:
    """A recording as a source of batches.

    Args:
        folder: Where the files are.
        speed: Times real time; None paces by ``rate_per_s`` instead.
        rate_per_s: Messages a second when there is no speed.

    Raises:
        FixSetup: No such folder, no recording in it, or a first line that is none.
    """

    live = False

    def __init__(self, folder: Path, *, speed: float | None, rate_per_s: int) -> None:
        self._files = files_of(folder)
        if not self._files:
            raise FixSetup(
                "simulator.replay",
                f"there is no *.jsonl.gz in {folder}",
                "Name a folder with recorded messages, one JSON object a line",
            )
        self._speed = speed
        self._rate_per_s = rate_per_s
        self._first_ns = next(merged(self._files)).market_ns

    def clock(self, start_ns: int) -> LinearClock | None:
        """Return the recording's clock; paced by rate it has none but the messages."""
        if self._speed is None:
            return None
        return LinearClock(start_ns, self._first_ns, self._speed)

    def batches(self, start_ns: int) -> Iterator[Batch]:
        """Yield the recording from its first message to its last.

        Raises:
            FixSetup: A line is no Alpaca message; it is named.
        """
        messages = enumerate(merged(self._files))
        while chunk := list(itertools.islice(messages, BATCH_MESSAGES)):
            market_ns = [message.market_ns for _, message in chunk]
            yield Batch(
                due_ns=[self._due_ns(start_ns, place, m) for place, m in chunk],
                market_ns=market_ns,
                flags=FLAGS[NORMAL] * len(chunk),
                routes=[(message.kind, message.symbol) for _, message in chunk],
                texts=[message.text for _, message in chunk],
            )

    def _due_ns(self, start_ns: int, place: int, message: Recorded) -> int:
        if self._speed is None:
            return start_ns + place * SECOND_NS // self._rate_per_s
        return start_ns + int((message.market_ns - self._first_ns) / self._speed)
