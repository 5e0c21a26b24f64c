"""Which engine commits: the one place where it is chosen."""

from pyspark.sql import SparkSession

from conf.lake.commit import Committer
from conf.lake.commit_embedded import EmbeddedCommitter
from conf.lake.commit_spark import SparkCommitter
from conf.lake.fence import Fence, open_fence
from conf.lake.periodic import WRITER
from conf.settings import LakeSettings


def open_committer(
    lake: LakeSettings, fence: Fence, session: SparkSession | None = None
) -> Committer:
    """Return a committer of the engine that ``lake.engine`` names.

    One per query: an engine keeps table handles and the session of its last batch.

    Args:
        lake: Where the tables are.
        fence: Of the layer.
        session: Of a query that is none of Spark's; by default the active one.
    """
    if lake.engine == "embedded":
        return EmbeddedCommitter(lake, fence)
    return SparkCommitter(lake, fence, session)


def open_beside(
    lake: LakeSettings, layer: str, spark: SparkSession | None
) -> Committer:
    """Return a committer of a query that is none of Spark's.

    Args:
        lake: Where the tables are.
        layer: Whose lease it commits under in the driver.
        spark: Of the driver that it runs in; None in a process of its own, which has a
            lease of its own and which only the embedded engine can.

    Raises:
        FixSetup: Another process does it.
    """
    fence = open_fence(lake.root, layer if spark else WRITER, lake.lease_s)
    # Transactions are settings of a session: those of this query's thread stay its own.
    return open_committer(lake, fence, spark and spark.newSession())
