"""What follows from closed minutes, beside Spark: ``python -m infra.minutes``.

Built bars and features, anomalies, signals. They need no Spark, so with the embedded
engine they run in a process of their own, politer than the driver: the end of a minute
takes neither its interpreter nor its turn on a core. With Spark's engine the driver,
whose session commits, starts the same queries.

Writes ``<var>/run/minutes.json`` each second; on SIGTERM each query does what there is.
"""

import sys
import threading

from pyspark.sql import SparkSession

import gold.anomalies
import gold.signals
import silver.minutes
from conf.lake.fence import open_fence
from conf.lake.periodic import WRITER, PeriodicQuery
from conf.settings import Settings
from infra.politeness import be_polite
from infra.status import Status, main

WARM_UPS = (silver.minutes.warm_up, gold.anomalies.warm_up)
"""Compile, or load, what the first closed minute would wait for."""

_POLITENESS = 5


def start(
    chosen: Settings, status: Status, spark: SparkSession | None = None
) -> tuple[PeriodicQuery, ...]:
    """Start the queries; return them in the order of the flow.

    Raises:
        FixSetup: Another process does it, or a table is of another version.
    """
    context = spark, chosen, status.on_batch
    return (
        gold.anomalies.start(*context),
        silver.minutes.start(*context),
        gold.signals.start(*context),
    )


def _run(chosen: Settings, status: Status, stop: threading.Event) -> None:
    be_polite(_POLITENESS)
    status.write()
    for warm_up in WARM_UPS:
        warm_up()
    queries = start(chosen, status)
    status.note(state="live")
    while not stop.wait(1.0):
        for query in queries:
            if error := query.exception():
                raise error
        status.write()
    status.note(state="draining")
    for query in queries:
        query.processAllAvailable()
    for query in queries:
        query.stop()
    open_fence(chosen.lake.root, WRITER, chosen.lake.lease_s).release()
    status.note(state="stopped")


if __name__ == "__main__":
    sys.exit(main("minutes", __doc__, _run))
