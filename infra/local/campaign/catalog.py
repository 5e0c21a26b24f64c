"""The faults of the campaign, by the classes of the project's fault model.

Each is a function of the scene that returns when the harm is done: when a killed
process is dead, a struck API answers again. What outlasts its strike on purpose (a mute
connection, a dead link) has to be noticed and left by the producer itself. It returns
how much it struck: calls answered with an error, connections, processes, messages. A
fault that struck nothing proves nothing.
"""

import resource
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from infra.local import faults
from infra.local.campaign import storms
from infra.local.campaign.scene import Scene
from infra.local.services import EMULATOR, LAKE, MINUTES, PRODUCER

Strike = Callable[[Scene], int]
_INTERNAL, _THROTTLE, _UNAVAILABLE = (
    f"aws:fis:inject-api-{name}-error"
    for name in ("internal", "throttle", "unavailable")
)
_SILVER = "silver"
_LONG_S = 45.0
"""How long a mute connection or a dead link would last if nobody noticed."""


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: In the result and the log.
        class_: ``F1`` to ``F13``.
        strike: Does the harm, and counts it.
    """

    name: str
    class_: str
    strike: Strike


def kill_producer(scene: Scene) -> int:
    """End the producer with records in its spool that Kinesis does not take."""
    with scene.kinesis_fault(_UNAVAILABLE, operations="PutRecords") as harm:
        time.sleep(scene.between(1, 3))
        scene.kill(PRODUCER)
    return harm.hits


def kill_driver_when_planned(scene: Scene) -> int:
    """End the driver when a batch is planned and not written."""
    before = _newest(scene.checkpoint(_SILVER, "offsets"))
    scene.until(lambda: _unfinished(scene) > before, "silver plans a batch")
    return _kill_driver_in_batch(scene)


def kill_driver_when_written(scene: Scene) -> int:
    """End the driver when a table has a batch of which the checkpoint knows nothing."""
    log = Path(scene.settings.lake.root, "silver", "trades", "_delta_log")
    batch = before = -1

    def is_written() -> bool:
        nonlocal batch, before
        if (begun := _unfinished(scene)) != batch:
            batch, before = begun, _newest(log)
        return batch >= 0 and _newest(log) > before

    scene.until(is_written, "silver writes a batch")
    return _kill_driver_in_batch(scene)


def kill_workers(scene: Scene) -> int:
    """End the Python processes that read Kinesis for Spark, not the driver."""
    scene.until(scene.workers, "Spark has Python workers")
    return scene.kill_pids(scene.workers())


def freeze(name: str) -> Strike:
    """Return what stops a process for some seconds and lets it go on."""

    def strike(scene: Scene) -> int:
        with scene.frozen(name) as harm:
            time.sleep(scene.between(5, 9))
        return harm.hits

    return strike


def kill_minutes(scene: Scene) -> int:
    """End the process of what follows from closed minutes."""
    return scene.kill(MINUTES)


def freeze_driver(scene: Scene) -> int:
    """Stop a driver, replace it, and let the old one go on: it must stop by itself."""
    faults.freeze_driver(scene.pipeline, scene.settings)
    return 1


def kill_emulator(scene: Scene) -> int:
    """End Kinesis at once."""
    return scene.kill(EMULATOR)


def on_kinesis(action: str, **parameters: object) -> Strike:
    """Return what lets a fault of Kinesis' API last for some seconds."""

    def strike(scene: Scene) -> int:
        with scene.kinesis_fault(action, **parameters) as harm:
            time.sleep(scene.between(4, 8))
        return harm.hits

    return strike


def on_feed(kind: str, *, for_s: float = 0.0, code: int | None = None) -> Strike:
    """Return what orders one fault of the feed."""
    return lambda scene: scene.feed_hits(scene.on_feed(kind, for_s=for_s, code=code))


def away(code: int | None = None) -> Strike:
    """Return what cuts the feed and keeps it away for some seconds."""

    def strike(scene: Scene) -> int:
        for_s = scene.between(2, 6)
        fault = scene.on_feed("cut", for_s=for_s, code=code)
        time.sleep(for_s)
        return scene.feed_hits(fault)

    return strike


def slow_feed(scene: Scene) -> int:
    """Let every frame come late."""
    for_s = scene.between(4, 8)
    fault = scene.on_feed("slow", for_s=for_s, delay_s=scene.between(0.3, 2.0))
    time.sleep(for_s)
    return scene.feed_hits(fault)


def one_connection_too_many(scene: Scene) -> int:
    """Cut the feed and refuse every login, as if another client had the place."""
    for_s = scene.between(6, 10)
    refusal = scene.on_feed("error", code=406, for_s=for_s)
    scene.on_feed("cut")
    time.sleep(for_s)
    return scene.feed_hits(refusal)


def split_shard(scene: Scene) -> int:
    """Split the widest open shard in two."""
    client, name = scene.client(), scene.settings.kinesis.stream_name
    before = _open_shards(scene)
    low, high, shard = max(before, key=lambda x: x[1] - x[0])
    client.split_shard(
        StreamName=name,
        ShardToSplit=shard,
        NewStartingHashKey=str((low + high) // 2 + 1),
    )
    return _new_shards(scene, before)


def merge_shards(scene: Scene) -> int:
    """Merge two open shards that are neighbours."""
    client, name = scene.client(), scene.settings.kinesis.stream_name
    before = sorted(_open_shards(scene))
    place = scene.dice.randrange(len(before) - 1)
    client.merge_shards(
        StreamName=name,
        ShardToMerge=before[place][2],
        AdjacentShardToMerge=before[place + 1][2],
    )
    return _new_shards(scene, before)


def split_while_driver_is_down(scene: Scene) -> int:
    """End the driver and split a shard before it is back."""
    scene.kill(LAKE)
    return split_shard(scene)


def fill_disk(scene: Scene) -> int:
    """Let the producer's disk take nothing: every write to a file fails."""
    pid, before = scene.pipeline.pid(PRODUCER), scene.missed()
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    time.sleep(scene.between(5, 8))
    with suppress(ProcessLookupError):  # if it died of it, its successor has no limit
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    return scene.missed() - before


FAULTS = (
    Fault("kill-producer", "F1", kill_producer),
    Fault("kill-driver-when-planned", "F2", kill_driver_when_planned),
    Fault("kill-driver-when-written", "F2", kill_driver_when_written),
    Fault("kill-python-workers", "F3", kill_workers),
    Fault("kill-minutes", "F2", kill_minutes),
    Fault("freeze-minutes", "F4", freeze(MINUTES)),
    Fault("freeze-producer", "F4", freeze(PRODUCER)),
    Fault("freeze-emulator", "F4", freeze(EMULATOR)),
    Fault("freeze-driver", "F4", freeze_driver),
    Fault("kill-emulator", "F5", kill_emulator),
    Fault("throttled", "F6", on_kinesis(_THROTTLE, percentage=50)),
    Fault("internal-error", "F6", on_kinesis(_INTERNAL, percentage=50)),
    Fault("unavailable", "F6", on_kinesis(_UNAVAILABLE)),
    Fault(
        "iterators-expire",
        "F6",
        on_kinesis("aws:kinesis:stream-expired-iterator-exception"),
    ),
    Fault(
        "entries-fail",
        "F6",
        on_kinesis("emulator:put-records-entry-failure", percentage=50),
    ),
    Fault("answers-lost", "F6", on_kinesis("emulator:put-then-reset", percentage=50)),
    Fault("half-open", "F7", on_feed("half_open", for_s=_LONG_S)),
    Fault("slow-feed", "F7", slow_feed),
    Fault("feed-away", "F7", away()),
    Fault("mute", "F8", on_feed("mute", for_s=_LONG_S)),
    Fault("torn-frame", "F8", on_feed("torn_frame")),
    Fault("closed-1011", "F8", away(1011)),
    Fault("slow-client-407", "F8", on_feed("error", code=407)),
    Fault("too-many-connections-406", "F8", one_connection_too_many),
    Fault("split-shard", "F9", split_shard),
    Fault("merge-shards", "F9", merge_shards),
    Fault("split-while-driver-is-down", "F9", split_while_driver_is_down),
    Fault("disk-full", "F10", fill_disk),
    Fault("duplicate-storm", "F11", storms.duplicate_storm),
    Fault("late-storm", "F11", storms.late_storm),
    Fault("correction-storm", "F11", storms.correction_storm),
    Fault("poison", "F12", storms.poison_burst),
    Fault("schema-evolution", "F13", storms.schema_evolution),
)


def _kill_driver_in_batch(scene: Scene) -> int:
    """End the driver; return how many batches it had begun and not finished."""
    scene.kill(LAKE)
    return int(_unfinished(scene) >= 0)


def _unfinished(scene: Scene) -> int:
    """Return the batch of silver that is planned and not finished, or -1."""
    planned = _newest(scene.checkpoint(_SILVER, "offsets"))
    return planned if planned > _newest(scene.checkpoint(_SILVER, "commits")) else -1


def _newest(folder: Path) -> int:
    stems = (path.name.removesuffix(".json") for path in folder.iterdir())
    return max((int(stem) for stem in stems if stem.isdecimal()), default=-1)


def _new_shards(scene: Scene, before: list[tuple[int, int, str]]) -> int:
    """Wait until the stream has changed; return how many shards are new."""
    scene.until(lambda: set(_open_shards(scene)) - set(before), "shards are new")
    return len(set(_open_shards(scene)) - set(before))


def _open_shards(scene: Scene) -> list[tuple[int, int, str]]:
    """Return first and last hash key, and id, of each shard that takes records."""
    name = scene.settings.kinesis.stream_name
    return [
        (
            int(shard["HashKeyRange"]["StartingHashKey"]),
            int(shard["HashKeyRange"]["EndingHashKey"]),
            shard["ShardId"],
        )
        for shard in scene.client().list_shards(StreamName=name)["Shards"]
        if "EndingSequenceNumber" not in shard["SequenceNumberRange"]
    ]
