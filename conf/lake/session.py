"""The Spark session: measured settings in ``conf/spark-defaults.conf``, jars, paths."""

import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from pyspark.sql import SparkSession

from conf.errors import FixSetup
from conf.java import require_java
from conf.lake.jars import local_jars
from conf.lake.streams import Query
from conf.logs import configure
from conf.settings import ROOT, Settings, SparkSettings, load

_DEFAULTS = ROOT / "conf" / "spark-defaults.conf"
_CHECKPOINT_FILES = (
    "org.apache.spark.sql.execution.streaming.FileSystemBasedCheckpointFileManager"
)
_LOOK_EVERY_S = 1


def build_session(settings: Settings, name: str = "tickhouse") -> SparkSession:
    """Start the driver of this process, or return the one it has.

    Args:
        settings: Chooses master, memory and the Spark UI's port (the next free one if
            taken; ``session.sparkContext.uiWebUrl`` tells).
        name: Application name, shown in the Spark UI.

    Raises:
        FixSetup: There is no Java, or the jars cannot be fetched.
    """
    require_java()
    # Python workers import the Kinesis source by name, with our interpreter.
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    builder = SparkSession.builder.appName(name)
    for key, value in {
        **dict(read_defaults(_DEFAULTS)),
        **_delta_settings(),
        **_local_settings(settings.spark),
    }.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def read_defaults(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the (key, value) pairs of a Spark properties file."""
    for line in path.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            key, value = line.split(maxsplit=1)
            yield key, value.strip()


def _delta_settings() -> dict[str, str]:
    return {
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": (
            "org.apache.spark.sql.delta.catalog.DeltaCatalog"
        ),
    }


def _local_settings(spark: SparkSettings) -> dict[str, str]:
    """Settings that suit one machine only; a cluster's launcher sets its own."""
    if not spark.master.startswith("local"):
        return {}
    jars = local_jars()
    # The file system is needed before packages are loaded, hence the class path.
    return {
        "spark.master": spark.master,
        "spark.driver.memory": spark.driver_memory,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraClassPath": os.pathsep.join(map(str, jars)),
        "spark.hadoop.fs.file.impl": (
            "com.globalmentor.apache.hadoop.fs.BareLocalFileSystem"
        ),
        "spark.sql.streaming.checkpointFileManagerClass": _CHECKPOINT_FILES,
        "spark.ui.port": str(free_port(spark.ui_port)),
        "spark.local.dir": str(ROOT / "var" / "spark"),
        "spark.sql.warehouse.dir": str(ROOT / "var" / "warehouse"),
    }


def free_port(first: int) -> int:
    """Return ``first`` or the next port above it that is free on 127.0.0.1."""
    for port in range(first, first + 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise FixSetup(
        "spark.ui_port", f"ports {first} to {first + 49} are taken", "Choose another"
    )


Start = Callable[[SparkSession, Settings], Query]


def run_alone(name: str, *starts: Start) -> NoReturn:
    """Run one layer's queries in this process until one of them ends.

    Args:
        name: Name of the layer, for logs and the Spark UI.
        *starts: Each starts one query.

    Raises:
        SystemExit: Code 3, with one line that says what to do, if the set-up is wrong.
    """
    spark, queries = _start_alone(name, *starts)
    while all(query.isActive for query in queries):
        spark.streams.awaitAnyTermination(_LOOK_EVERY_S)
    raise SystemExit(1)


def run_once(name: str, start: Start) -> None:
    """Run one query in this process until it has done all there is to do.

    Args:
        name: Name of the layer, for logs and the Spark UI.
        start: Starts the query.

    Raises:
        SystemExit: See ``run_alone``.
    """
    spark, (query,) = _start_alone(name, start)
    query.processAllAvailable()
    query.stop()
    spark.stop()


def _start_alone(name: str, *starts: Start) -> tuple[SparkSession, list[Query]]:
    try:
        chosen = load()
        configure(name, level=chosen.log_level)
        spark = build_session(chosen, name)
        return spark, [start(spark, chosen) for start in starts]
    except FixSetup as error:
        sys.stderr.write(f"tickhouse: {error}\n")
        raise SystemExit(3) from error
