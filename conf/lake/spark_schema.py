"""A contract as Spark's StructType."""

from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructField, StructType

from conf.lake.tables import TableContract


def spark_schema(contract: TableContract) -> StructType:
    """Return the schema a DataFrame of this table's rows has."""
    return from_arrow_schema(contract.schema)


def nullable_schema(contract: TableContract) -> StructType:
    """Return the schema with every column nullable.

    A struct column that is null in some rows must say so of its fields: Arrow refuses
    a null in a field that is declared without.
    """
    return StructType(
        [StructField(field.name, field.dataType) for field in spark_schema(contract)]
    )
