r"""A recording: each second of a market as Kinesis would hold it, and the truth of it.

::

    <folder>/records/second-00000.parquet    rows of bronze.records
    <folder>/truth/messages-00000.tsv        what was sent, for infra.local.truth

The records are the producer's own: packed by symbol, at most 100 ms of the feed in one.
Entries that Kinesis stored and yet answered as failed were sent again a second later.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq

from conf.lake.tables import RECORDS
from conf.settings import DEFAULT_SYMBOLS, KinesisSettings, SimulatorSettings
from producer.batcher import Batcher, PartitionKeys, Record
from producer.market_clock import MarketClock
from producer.protocol import decode
from producer.relay import Frame, Relay
from producer.simulator.batch import Source
from producer.simulator.market import Market
from producer.simulator.replay import Replay

SYMBOLS = DEFAULT_SYMBOLS
START = datetime(2026, 11, 20, 19, 30, tzinfo=UTC)
"""When a simulated recording begins: a day that is over, so that it is always so."""
DISTURBED = {
    "repeated_share": 0.02,
    "out_of_order_share": 0.01,
    "late_share": 0.001,
    "malformed_share": 0.001,
}
RESENT_SHARE = 0.01
_FRAME_MESSAGES = 50
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class Sent:
    """One message as it was sent: when due (ns), its flag, its text."""

    due_ns: int
    flag: str
    text: bytes

    @property
    def is_frame(self) -> bool:
        """Whether it is the text of a whole frame that ends too early."""
        return self.text.startswith(b"[")


@dataclass(frozen=True)
class Second:
    """One second of the market.

    Attributes:
        number: From 0.
        sent: Its messages, in feed order.
        records: Those of its messages and those that are sent again.
    """

    number: int
    sent: list[Sent]
    records: list[Record]

    def to_bronze(self) -> pa.Table:
        """Return the rows of ``bronze.records``, in Kinesis a second after START's."""
        arrival = START + timedelta(seconds=self.number + 1)
        rows = [
            {
                "arrival_time": arrival,
                "shard_id": "shardId-000000000000",
                "sequence_number": f"{self.number:012d}{place:06d}",
                "partition_key": record.partition_key,
                "ingest_time": arrival,
                "data": record.data,
                "day": arrival.date(),
            }
            for place, record in enumerate(self.records)
        ]
        return pa.Table.from_pylist(rows, RECORDS.schema)


def simulated(rate_per_s: int, seed: int, **shares: float) -> Source:
    """Return the simulated market: same seed, same bytes."""
    settings = SimulatorSettings(rate_per_s=rate_per_s, seed=seed, **shares)
    return Market(settings, SYMBOLS)


def recorded(folder: Path, rate_per_s: int) -> Source:
    """Return a folder of recorded ``*.jsonl.gz`` as a market of that rate.

    Raises:
        FixSetup: There is no recording in it.
    """
    return Replay(folder, speed=None, rate_per_s=rate_per_s)


def seconds(
    source: Source, *, late_after_s: int = 120, resent_share: float = 0.0, seed: int = 7
) -> Iterator[Second]:
    """Yield a market's seconds, as far as it goes.

    Args:
        source: The market.
        late_after_s: As ``lake.late_after_s``.
        resent_share: Share of the records that come once more, a second later.
        seed: Chooses those.
    """
    kinesis = KinesisSettings()
    batcher = Batcher(
        linger_ms=kinesis.linger_ms,
        max_messages=kinesis.record_max_messages,
        max_bytes=kinesis.record_max_bytes,
    )
    keys, clock = PartitionKeys(SYMBOLS), MarketClock(live=source.live)
    relay = Relay("bench", clock, keys, batcher, late_after_s=late_after_s)
    random, again, frame = Random(seed), list[Record](), 0
    for number, sent in _by_second(source):
        records = again
        for messages in _frames(sent):
            due_ns = messages[-1].due_ns
            records += batcher.close_due(due_ns / 1e6)
            payload = _payload(messages)
            decoded = decode(payload, "json").messages
            at = Frame("bench", frame, due_ns, payload)
            records += relay.add(at, decoded, due_ns / 1e6)
            frame += 1
        records += batcher.close_all()
        again = [record for record in records if random.random() < resent_share]
        yield Second(number, sent, records)


def write(source: Source, folder: Path, count: int, seed: int) -> list[int]:
    """Write at most ``count`` seconds of a market; return the messages of each."""
    for name in ("records", "truth"):
        (folder / name).mkdir(parents=True)
    messages = []
    market = seconds(source, resent_share=RESENT_SHARE, seed=seed)
    for second in islice(market, count):
        pq.write_table(second.to_bronze(), records_file(folder, second.number))
        lines = (b"%d\t%c\t%b\n" % (s.due_ns, ord(s.flag), s.text) for s in second.sent)
        (folder / truth_file(second.number)).write_bytes(b"".join(lines))
        messages.append(len(second.sent))
    return messages


def records_file(folder: Path, number: int) -> Path:
    """Return the file of one second's records."""
    return folder / "records" / f"second-{number:05d}.parquet"


def truth_file(number: int) -> str:
    """Return the file of one second's truth, below the recording's folder."""
    return f"truth/messages-{number:05d}.tsv"


def _by_second(source: Source) -> Iterator[tuple[int, list[Sent]]]:
    start_ns = int(START.timestamp()) * _SECOND_NS
    sent = (
        Sent(*message)
        for batch in source.batches(start_ns)
        for message in zip(batch.due_ns, batch.flags, batch.texts, strict=True)
    )
    grouped = groupby(sent, key=lambda each: (each.due_ns - start_ns) // _SECOND_NS)
    for number, (_, group) in enumerate(grouped):
        yield number, list(group)


def _frames(sent: list[Sent]) -> Iterator[list[Sent]]:
    """Yield frames of fifty messages; a broken one is a frame of its own."""
    for is_frame, group in groupby(sent, key=lambda each: each.is_frame):
        size = 1 if is_frame else _FRAME_MESSAGES
        while frame := list(islice(group, size)):
            yield frame


def _payload(messages: list[Sent]) -> bytes:
    if messages[0].is_frame:
        return messages[0].text
    return b"[" + b",".join(message.text for message in messages) + b"]"
