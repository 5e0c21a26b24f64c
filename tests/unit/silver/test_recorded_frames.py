"""Alpaca's own frames: each message gets its row, or a reject that says why."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from conf.lake.spark_schema import spark_schema
from conf.lake.tables import RECORDS
from conf.market.wire import CONTROL_TYPES
from conf.settings import ROOT
from silver.messages import to_messages
from tests.unit.silver.test_messages import line, record

pytestmark = pytest.mark.spark

DATA = Path(os.environ.get("TICKHOUSE_DATA", ROOT.parent / "shared" / "data"))
TABLES = {
    "t": "silver.trades",
    "q": "silver.quotes",
    "b": "silver.bars",
    "u": "silver.bars",
    "c": "silver.corrections",
    "x": "silver.corrections",
    "s": "silver.statuses",
    "l": "silver.statuses",
    "i": "silver.rejects",
    "o?": "silver.rejects",
}


def recorded_messages() -> list[dict[str, object]]:
    path = DATA / "alpaca" / "alpaca_frames.jsonl"
    if not path.exists():
        pytest.skip(f"no recorded frames at {path}: set TICKHOUSE_DATA")
    frames = [json.loads(text)["frame"] for text in path.read_text().splitlines()]
    messages = [message for frame in frames for message in frame]
    return [m for m in messages if m["T"] not in CONTROL_TYPES]


def test_every_recorded_message_is_in_its_table_or_rejected(spark: SparkSession):
    messages = recorded_messages()
    lines = [line(json.dumps(message)) for message in messages]
    records = spark.createDataFrame([record(*lines)], spark_schema(RECORDS))
    rows = to_messages(records, future_max_s=5, late=False).collect()
    reasons = {row["rejects"][0].reason for row in rows if row["rejects"]}

    assert Counter(row["table"] for row in rows) == Counter(
        TABLES[str(message["T"])] for message in messages
    )
    assert reasons == {
        "no table takes messages of type i",
        "unknown message type o?",
    }
