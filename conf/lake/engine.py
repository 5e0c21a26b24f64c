"""Which engine commits: the one place where it is chosen."""

from conf.lake.commit import Committer
from conf.lake.commit_embedded import EmbeddedCommitter
from conf.lake.commit_spark import SparkCommitter
from conf.lake.fence import Fence
from conf.settings import LakeSettings


def open_committer(lake: LakeSettings, fence: Fence) -> Committer:
    """Return a committer of the engine that ``lake.engine`` names.

    One per query: an engine keeps table handles and the session of its last batch.
    """
    if lake.engine == "embedded":
        return EmbeddedCommitter(lake, fence)
    return SparkCommitter(lake, fence)
