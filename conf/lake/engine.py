"""Which engine commits: the one place where it is chosen."""

from pyspark.sql import SparkSession

from conf.lake.commit import Committer
from conf.lake.commit_embedded import EmbeddedCommitter
from conf.lake.commit_spark import SparkCommitter
from conf.lake.fence import Fence
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
