"""Trained here, kept on S3, served from there: versions, roles, checkpoints, runs."""

import io
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import boto3
import numpy as np
import pytest
import stamina
from deltalake import DeltaTable
from rich.console import Console

from conf.lake.roots import table_uri
from conf.lake.tables import MODEL_RUNS
from models.card import DEMO_LABEL
from models.environment import Rules
from models.planted import DAY_BARS
from models.records import record_runs
from models.registry import Registry
from models.scoring import score
from models.serving import NAME, Serving
from models.tape import stretches
from models.watch import Watch
from models.workers import Workers
from tests.unit.models.test_records import trained
from tests.unit.models.test_registry import NOON, added, card
from tests.unit.models.test_weights import network

BUCKET = "tickhouse-models"
ROOT = f"s3://{BUCKET}/models"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Return where moto answers: a process of its own, as deltalake holds the GIL."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}"
        server.terminate()


@stamina.retry(on=ConnectionRefusedError, attempts=None, timeout=30, wait_max=0.2)
def _wait_for(port: int) -> None:
    socket.create_connection(("127.0.0.1", port)).close()


@pytest.fixture(autouse=True)
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty bucket, found by what AWS's own libraries read."""
    told = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",  # pragma: allowlist secret
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    bucket = boto3.resource("s3").Bucket(BUCKET)
    bucket.create()
    yield
    bucket.objects.all().delete()
    bucket.delete()


def objects() -> list[str]:
    return sorted(
        found.key for found in boto3.resource("s3").Bucket(BUCKET).objects.all()
    )


def test_a_version_is_promoted_served_and_refused_on_s3():
    registry = Registry(ROOT, NAME)
    assert registry.versions() == []
    assert registry.roles().champion is None
    version = added(registry, card())
    registry.promote(version, NOON)
    assert registry.versions() == [version]
    assert Registry(ROOT, NAME).roles().champion == version
    weights = f"models/{NAME}/versions/{version}/weights.npz"
    assert weights in objects()

    boto3.client("s3").put_object(Bucket=BUCKET, Key=weights, Body=b"spoilt")
    assert "refused: weights.npz is not the manifest's" in str(Serving(ROOT).refresh())


def test_a_checkpoint_comes_back_and_a_spoilt_one_is_no_agent():
    kept, told = Registry(ROOT, NAME).checkpoints("key"), list[str]()
    assert kept.load(0, told.append) is None
    kept.save(0, network(3))
    again = kept.load(0, told.append)
    assert told == []
    assert again is not None
    assert again.head == "policy"
    pairs = zip(again.actor.weights, network(3).actor.weights, strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)
    (name,) = objects()
    boto3.client("s3").put_object(Bucket=BUCKET, Key=name, Body=b"PK spoilt")
    assert kept.load(0, told.append) is None
    assert told[0].startswith("checkpoints/key/0.policy.tanh.npz is spoilt")
    kept.clear()
    assert [path for path in objects() if path.endswith(".npz")] == []


def test_runs_are_written_into_a_lake_on_s3():
    root = f"s3://{BUCKET}/lake"
    for seed in (0, 1):
        record_runs(root, f"run {seed}", [trained(seed)], NOON)
    found = DeltaTable(table_uri(root, MODEL_RUNS)).to_pyarrow_table().to_pylist()
    assert sorted(row["seed"] for row in found) == [0, 1]


class Stopped(Watch):
    """Sees the first agent of a version trained, and then the power fails."""

    def tell(self, line: str) -> None:
        if line == "seed 0 trained, 1 of 2":
            raise KeyboardInterrupt


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_is_trained_goes_to_s3_and_decides_from_there(tmp_path: Path):
    pytest.importorskip("torch", reason="needs the group rl: make test installs it")
    from models.demo_market import demo_tape, recipe  # noqa: PLC0415
    from models.publish import Origin, publish  # noqa: PLC0415
    from models.train import Lesson  # noqa: PLC0415

    tape = demo_tape(bars=6_000)
    lesson = Lesson(tape, stretches(tape, DAY_BARS), Rules())
    registry = Registry(ROOT, NAME)
    origin = Origin(
        name=NAME,
        algorithm="maskable-ppo",
        data="a test",
        is_simulated=True,
        trials=2,
        seeds=[0, 1],
        evidence={},
        is_leak_free=True,
    )
    made = datetime(2026, 3, 2, tzinfo=UTC)
    task = registry, lesson, recipe(8_192), origin, made
    with pytest.raises(KeyboardInterrupt):
        publish(*task, Workers(Stopped(Console(file=io.StringIO()))))
    assert [path.rsplit("/", 1)[1] for path in objects()] == ["0.policy.tanh.npz"]
    assert registry.versions() == []

    told = io.StringIO()
    version = publish(*task, Workers(Watch(Console(file=told))))
    assert told.getvalue() == "seed 1 trained, 1 of 1\n"  # seed 0 was kept
    assert [p.rsplit("/", 1)[1] for p in objects() if p.endswith(".npz")] == [
        "weights.npz"
    ]
    apart = Registry(str(tmp_path), NAME)
    beside = Workers(Watch(Console(file=told)), processes=2)
    assert publish(apart, *task[1:], beside) == version  # same bytes

    registry.promote(version, made)
    serving = Serving(ROOT)
    assert serving.refresh() is None
    model = serving.model
    assert model is not None
    assert (model.version, model.card.label) == (version, DEMO_LABEL)
    rows = np.random.default_rng(1).normal(size=(5, model.networks[0].inputs))
    scores, known = (
        score(each.networks[0], rows, np.ones((5, 3), np.bool_))
        for each in (model, apart.load(version))
    )
    assert np.array_equal(scores.by_action, known.by_action)
