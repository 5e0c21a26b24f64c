"""``silver.orders``: the account stream's order updates."""

from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F

from silver.lineage import lineage, missing
from silver.times import nanoseconds_to_timestamp

_ORDER_TEXTS = {
    "client_order_id": "client_order_id",
    "status": "status",
    "side": "side",
    "order_type": "type",
    "time_in_force": "time_in_force",
}
_ORDER_NUMBERS = {
    "quantity": "qty",
    "notional": "notional",
    "limit_price": "limit_price",
    "stop_price": "stop_price",
    "filled_quantity": "filled_qty",
    "filled_price_mean": "filled_avg_price",
}
_UPDATE_NUMBERS = {
    "fill_price": "price",
    "fill_quantity": "qty",
    "position_quantity": "position_qty",
}


def to_struct() -> Column:
    """Return the table's row of a parsed message, as one struct."""
    event_time = nanoseconds_to_timestamp(F.col("event_ns"))
    columns = [
        event_time.alias("event_time"),
        F.col("symbol").alias("symbol"),
        F.col("event_ns").alias("event_time_ns"),
        _order("id").alias("order_id"),
        _update("event").alias("event"),
        _execution_id().alias("execution_id"),
        *(_order(wire).alias(name) for name, wire in _ORDER_TEXTS.items()),
        *(text.try_cast("double").alias(name) for name, text in _numbers().items()),
        *lineage(),
        F.to_date(event_time).alias("day"),
    ]
    return F.struct(*columns)


def key() -> Column:
    """Return text that is equal for two copies of one update."""
    update = (_order("id"), _update("event"), F.col("event_ns"), _execution_id())
    return F.concat_ws("|", *update)


def reject_reason() -> Column:
    """Return why a message of the account stream is no order update, or null."""
    required = {
        "order_id": _order("id"),
        "event": _update("event"),
        "status": _order("status"),
    }
    no_numbers = (
        text.isNotNull() & text.try_cast("double").isNull()
        for text in _numbers().values()
    )
    return F.coalesce(
        missing(required),
        F.when(
            reduce(Column.__or__, no_numbers), F.lit("a price or quantity is no number")
        ),
    )


def _numbers() -> dict[str, Column]:
    order = {name: _order(wire) for name, wire in _ORDER_NUMBERS.items()}
    return order | {name: _update(wire) for name, wire in _UPDATE_NUMBERS.items()}


def _execution_id() -> Column:
    return F.coalesce(_update("execution_id"), F.lit(""))


def _update(key: str) -> Column:
    return F.col(f"other.d.data.{key}")


def _order(key: str) -> Column:
    return _update(f"order.{key}")
