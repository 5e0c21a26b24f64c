"""A fault of the campaign does what its name says, and says how much."""

import random
from collections.abc import Iterator

import pytest

from conf.settings import Settings
from infra.local import process_table
from infra.local.campaign import streams
from infra.local.campaign.catalog import FAULTS
from infra.local.campaign.scene import Scene
from infra.local.services import PRODUCER
from infra.local.supervisor import Pipeline

STRIKES = {fault.name: fault.strike for fault in FAULTS}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    chosen = streams.prepared(Settings(), tmp_path_factory.mktemp("strikes"), seed=7)
    with Pipeline(chosen, streams.table(chosen)) as pipeline:
        pipeline.start()
        yield Scene(pipeline, chosen, random.Random(7))


@pytest.mark.parametrize(
    ("name", "hits"),
    [
        ("torn-frame", 1),
        ("slow-client-407", 1),
        ("split-shard", 2),
        ("merge-shards", 1),
        ("late-storm", 2_000),
        ("correction-storm", 1_250),
        ("poison", 5_000),
        ("schema-evolution", 600),
    ],
)
def test_a_fault_hits_what_its_name_says(scene: Scene, name: str, hits: int):
    assert STRIKES[name](scene) == hits


def test_a_full_disk_keeps_the_producer_from_the_feed(scene: Scene):
    pid = scene.pipeline.pid(PRODUCER)
    assert STRIKES["disk-full"](scene) > 500
    assert scene.pipeline.pid(PRODUCER) == pid


def test_a_producer_is_killed_while_kinesis_takes_nothing(scene: Scene):
    pid = scene.pipeline.pid(PRODUCER)
    assert STRIKES["kill-producer"](scene) > 1
    assert process_table.identity(pid) is None


def test_a_fault_of_kinesis_without_calls_hits_nothing(scene: Scene):
    with scene.kinesis_fault(
        "emulator:put-then-reset", stream="another stream"
    ) as harm:
        messages = scene.missed()
        scene.on_feed("cut", for_s=0.5)
        scene.until(lambda: scene.missed() > messages, "messages are missed")
    assert harm.hits == 0
