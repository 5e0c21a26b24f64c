"""The JVM libraries of the lake: resolved once by Spark's Ivy, then used offline."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from conf.errors import FixSetup
from conf.logs import get_logger
from conf.settings import ROOT

PACKAGES = (
    "io.delta:delta-spark_2.13:4.0.1",
    # Hadoop forks `chmod` and `readlink` for every local file; this one does not.
    "com.globalmentor:hadoop-bare-naked-local-fs:0.1.0",
)
FOLDER = ROOT / "var" / "jars"

_RESOLVE = """
import sys
from pyspark.sql import SparkSession
builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
builder = builder.config("spark.jars.packages", sys.argv[1])
builder.config("spark.jars.ivy", sys.argv[2]).getOrCreate().stop()
"""


def local_jars(folder: Path = FOLDER) -> list[Path]:
    """Return the jars of ``PACKAGES``, fetching them on first use.

    Raises:
        FixSetup: They are not there and the Maven repository does not answer.
    """
    stamp = folder / "packages.txt"
    wanted = "\n".join(PACKAGES)
    if not stamp.exists() or stamp.read_text() != wanted:
        folder.mkdir(parents=True, exist_ok=True)
        # Ivy's folder bears one at a time; who waited finds them fetched.
        with (folder / "fetching.lock").open("w") as lock:
            fcntl.flock(lock.fileno(), fcntl.LOCK_EX)
            if not stamp.exists() or stamp.read_text() != wanted:
                _resolve(folder)
                stamp.write_text(wanted)
    return sorted((folder / "jars").glob("*.jar"))


def _resolve(folder: Path) -> None:
    get_logger(__name__).info(
        "fetching the Delta jars (8 MB, once)", folder=str(folder)
    )
    done = subprocess.run(  # noqa: S603 (our own script, our own interpreter)
        [sys.executable, "-c", _RESOLVE, ",".join(PACKAGES), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYSPARK_PYTHON": sys.executable},
    )
    if done.returncode:
        raise FixSetup(
            f"Maven packages {', '.join(PACKAGES)}",
            f"could not be fetched: {_reason(done.stderr)}",
            "The first start needs the network; later ones do not",
        )


def _reason(output: str) -> str:
    """Return what Java said first, or else what came last."""
    lines = output.strip().splitlines() or ["no output"]
    told = (line for line in lines if line.startswith(("Exception", "Error")))
    return next(told, lines[-1])[:300]
