"""Storms of messages: copies, old ones, corrections, poison, fields nobody knew.

They enter through the producer's own decoder, numbering and batching, as frames of a
connection of their own, and what they must leave in the lake is added to the truth.
"""

import time
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import msgspec

from conf.market.rfc3339 import format_ns
from conf.market.wire import Trade
from infra.local.campaign.scene import Scene
from producer.batcher import Batcher, PartitionKeys, Record
from producer.market_clock import MarketClock
from producer.protocol import decode
from producer.relay import Frame, Relay
from producer.simulator.faults import Malformer

TRUTH_FILE = "injected-00001.tsv"
COPIES = 5
_FRAME_MESSAGES = 100
_SECOND_NS = 1_000_000_000
_FIRST_ID = 9_000_000_000_000
_ids = count(_FIRST_ID)

Message = dict[str, Any]

_HOSTILE_TEXTS = (
    '{{"T":"t","S":"{symbol}","i":{id},"x":"V","p":1e400,"s":1,"t":"{time}"}}',
    '{{"T":"t","S":"{symbol}","i":{id},"x":"V","p":-Infinity,"s":1,"t":"{time}"}}',
    '{{"T":"t","S":"{symbol}","i":{id},"x":"V","p":1.5,"s":{huge},"t":"{time}"}}',
    '{{"T":"t","S":"{symbol}","i":{id},"x":"V","p":1.5,"s":9223372036854775808,'
    '"t":"{time}"}}',
    '{{"T":"t","S":"{symbol}","i":{id},"x":"V","p":1.5,"s":1,'
    '"t":"9999-12-31T23:59:59Z"}}',
    '{{"T":"t","S":"{symbol}","i":{id},"x":"V","p":-0.0,"s":1,"t":"{time}"}}',
    '{{"T":"t","S":"{symbol}","i":{id},"p":1.5,"s":1,"t":"{time}"}}',
    '{{"T":"t","S":"\\u0000","i":{id},"x":"V","p":1.5,"s":1,"t":"{time}"}}',
)
"""What `Malformer` does not have: each is rejected, whatever the symbol."""


def duplicate_storm(scene: Scene) -> int:
    """Put what the stream got in the last seconds into it again, five times."""
    records = _recent_records(scene, since_s=10)
    for _ in range(COPIES):
        scene.put(records)
    return COPIES * len(records)


def late_storm(scene: Scene, number: int = 2_000) -> int:
    """Send trades that are minutes to hours old."""
    ages_s = [scene.dice.uniform(180, 3 * 3600) for _ in range(number)]
    now_ns = time.time_ns()
    trades = [_trade(scene, now_ns - int(age_s * _SECOND_NS)) for age_s in ages_s]
    return send(scene, "l", [_text(trade) for trade in trades])


def correction_storm(scene: Scene, number: int = 500) -> int:
    """Send trades, correct each of them, and cancel every second corrected one."""
    trades = [_trade(scene, time.time_ns()) for _ in range(number)]
    corrections = [_correction(trade) for trade in trades]
    cancels = [_cancel(correction) for correction in corrections[::2]]
    return sum(
        send(scene, "n", [_text(message) for message in messages])
        for messages in (trades, corrections, cancels)
    )


def poison_burst(scene: Scene, number: int = 5_000) -> int:
    """Send what means nothing: every kind of damage, thousands of times."""
    malformer = Malformer()
    texts = []
    for place in range(number):
        message = _trade(scene, time.time_ns())
        if place % 2:
            form = _HOSTILE_TEXTS[place // 2 % len(_HOSTILE_TEXTS)]
            fill = {"symbol": message["S"], "id": message["i"], "time": message["t"]}
            texts.append(form.format(**fill, huge="9" * 400))
        else:
            texts.append(malformer.spoil(_struct(message)).decode())
    return send(scene, "m", texts)


def schema_evolution(scene: Scene, number: int = 300) -> int:
    """Send trades as a later Alpaca might, and a message type that nobody knows."""
    changes: list[Message] = [
        {"vendorNote": {"a": [1, 2]}, "y": None},
        {"c": ["@", "9", "!"]},
        {"p": 190},
        {"z": None},
        {"c": None},
    ]
    trades = [
        _trade(scene, time.time_ns()) | scene.dice.choice(changes)
        for _ in range(number)
    ]
    known = send(scene, "n", [_text(trade) for trade in trades])
    strange = [{"T": "news", "S": t["S"], "t": t["t"], "i": t["i"]} for t in trades]
    return known + send(scene, "m", [_text(message) for message in strange])


def send(scene: Scene, flag: str, texts: list[str]) -> int:
    """Let messages come as frames of a connection of their own; return how many."""
    settings, epoch = scene.settings, f"campaign-{next(_ids)}"
    batcher = Batcher(
        linger_ms=settings.kinesis.linger_ms,
        max_messages=settings.kinesis.record_max_messages,
        max_bytes=settings.kinesis.record_max_bytes,
    )
    relay = Relay(
        "simulator/iex",
        MarketClock(live=True),
        PartitionKeys(settings.simulator.symbols),
        batcher,
        late_after_s=settings.lake.late_after_s,
    )
    records: list[Record] = []
    for number, payload in enumerate(_frames(texts)):
        frame = Frame(epoch, number, time.time_ns(), payload)
        records += relay.add(frame, decode(payload, "json").messages, number)
    records += batcher.close_all()
    _tell(scene, flag, texts)
    scene.put(records)
    return len(texts)


def _frames(texts: list[str]) -> list[bytes]:
    """Return frames of whole messages; a text that is a broken frame goes alone."""
    whole = [text for text in texts if not text.startswith("[")]
    parts = [
        whole[n : n + _FRAME_MESSAGES] for n in range(0, len(whole), _FRAME_MESSAGES)
    ]
    broken = [text.encode() for text in texts if text.startswith("[")]
    return [f"[{','.join(part)}]".encode() for part in parts] + broken


def _tell(scene: Scene, flag: str, texts: list[str]) -> None:
    folder = scene.settings.simulator.truth_dir
    assert folder is not None  # noqa: S101 (the campaign sets it)
    now_ns = time.time_ns()
    with (folder / TRUTH_FILE).open("a", encoding="utf-8") as file:
        file.writelines(f"{now_ns}\t{flag}\t{text}\n" for text in texts)


def _recent_records(scene: Scene, since_s: float) -> list[Record]:
    """Return the market's records of the last seconds, as they are stored."""
    client, name = scene.client(), scene.settings.kinesis.stream_name
    found: list[Record] = []
    for shard in client.list_shards(StreamName=name)["Shards"]:
        cursor: str | None = client.get_shard_iterator(
            StreamName=name,
            ShardId=shard["ShardId"],
            ShardIteratorType="AT_TIMESTAMP",
            Timestamp=datetime.now(UTC) - timedelta(seconds=since_s),
        )["ShardIterator"]
        behind_ms = 1
        while cursor is not None and behind_ms:
            try:
                answer = client.get_records(ShardIterator=cursor)
            except client.exceptions.ProvisionedThroughputExceededException:
                time.sleep(0.5)  # the driver and the live tail read, too
                continue
            found += [
                Record(record["PartitionKey"], record["Data"], 1, 0.0)
                for record in answer["Records"]
                if record["Data"].startswith(b'{"schema_version":1,"kind":"data"')
            ]
            cursor, behind_ms = (
                answer.get("NextShardIterator"),
                answer["MillisBehindLatest"],
            )
    return found


def _trade(scene: Scene, event_time_ns: int) -> Message:
    return {
        "T": "t",
        "S": scene.dice.choice(scene.settings.simulator.symbols),
        "i": next(_ids),
        "x": "V",
        "p": round(scene.dice.uniform(10, 500), 2),
        "s": scene.dice.randint(1, 500),
        "c": ["@"],
        "t": format_ns(event_time_ns),
        "z": "C",
    }


def _correction(trade: Message) -> Message:
    return {
        "T": "c",
        **{key: trade[key] for key in ("S", "x", "z")},
        "oi": trade["i"],
        "op": trade["p"],
        "os": trade["s"],
        "oc": trade["c"],
        "ci": next(_ids),
        "cp": round(trade["p"] + 0.01, 2),
        "cs": trade["s"] + 1,
        "cc": trade["c"],
        "t": format_ns(time.time_ns()),
    }


def _cancel(correction: Message) -> Message:
    return {
        "T": "x",
        **{key: correction[key] for key in ("S", "x", "z")},
        "i": correction["ci"],
        "p": correction["cp"],
        "s": correction["cs"],
        "a": "C",
        "t": format_ns(time.time_ns()),
    }


def _struct(trade: Message) -> Trade:
    return msgspec.convert(trade, Trade)


def _text(message: Message) -> str:
    kept = {key: value for key, value in message.items() if value is not None}
    return msgspec.json.encode(kept).decode()
