"""Which engine commits: the one place where it is chosen."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.streaming.readwriter import DataStreamWriter

from conf.lake.commit import Committer
from conf.lake.commit_embedded import EmbeddedCommitter
from conf.lake.commit_spark import SparkCommitter
from conf.lake.fence import Fence, open_fence
from conf.lake.periodic import WRITER
from conf.lake.roots import table_uri
from conf.lake.streams import Checkpoint
from conf.lake.tables import TableContract
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


def start_appending(
    writer: DataStreamWriter,
    lake: LakeSettings,
    contract: TableContract,
    fence: Fence,
    checkpoint: Checkpoint,
) -> StreamingQuery:
    """Start a query that adds the rows of each batch to a table as they are.

    Whichever engine commits stores the query's id and the batch's with the rows: a
    batch that is repeated after a crash, or by a driver that was replaced, adds none.

    Args:
        writer: Of rows in the contract's columns, with its name and checkpoint.
        lake: Where the table is.
        contract: The table.
        fence: Of the layer.
        checkpoint: Of the query.
    """
    if lake.engine == "spark":
        return writer.format("delta").start(table_uri(lake.root, contract))
    committer = open_committer(lake, fence)

    def append(batch: DataFrame, batch_id: int) -> None:
        once = checkpoint.transaction(batch.sparkSession, contract, batch_id)
        committer.append(contract, batch.toArrow().cast(contract.schema), once)

    return writer.foreachBatch(append).start()
