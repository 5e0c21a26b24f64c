"""Columns that say how a row came here; the same in each silver table."""

from pyspark.sql import Column
from pyspark.sql import functions as F


def lineage() -> list[Column]:
    """Return the lineage columns of a message, in the contracts' order."""
    return [
        F.col("receive_time"),
        F.col("market_time"),
        F.col("arrival_time"),
        F.col("ingest_time"),
        F.col("kind"),
        F.col("epoch"),
        F.col("shard_id"),
        F.col("sequence_number"),
        F.col("position"),
    ]


def missing(named: dict[str, Column]) -> Column:
    """Return ``"a, b missing"`` if some of the named columns are null, else null."""
    absent = F.concat_ws(
        ", ",
        *(F.when(column.isNull(), F.lit(name)) for name, column in named.items()),
    )
    return F.when(absent != "", F.concat(absent, F.lit(" missing")))


def no_number(prices: dict[str, Column]) -> Column:
    """Return a reason if a price is NaN, infinite or negative, else null."""
    return F.coalesce(
        *(
            F.when(
                F.isnan(price) | (price < 0) | (price > 1e9),
                F.lit(f"{name} is not a price"),
            )
            for name, price in prices.items()
        )
    )
