"""Lambda invocations that follow one another, against the simulator's processes."""

import asyncio
import time
from typing import Any

from conf.settings import AlpacaSettings, KinesisSettings, LambdaSettings, Settings
from producer.lambda_handler import produce
from tests.integration.producing import Pipeline
from tests.integration.simulated import eventually, http, order_fault

LEAVE_BEFORE_S = 3
REFUSED_S = 2.0
OVERLAP_S = 1.0
SYMBOLS = ["AAPL", "KO", "BA"]


class Limit:
    """The context of an invocation that reads for so long."""

    def __init__(self, reading_s: float) -> None:
        self.leaves_s = time.monotonic() + reading_s

    def get_remaining_time_in_millis(self) -> int:
        return int((self.leaves_s + LEAVE_BEFORE_S - time.monotonic()) * 1000)


def settings(pipeline: Pipeline) -> Settings:
    """Return what the function would be deployed with; statuses have no history."""
    names = dict.fromkeys(("trades", "quotes", "bars", "updated_bars"), SYMBOLS)
    url = pipeline.settings["ALPACA__URL"]
    return Settings(
        alpaca=AlpacaSettings(url=url, statuses=[], lulds=[], **names),
        kinesis=KinesisSettings(
            endpoint_url=pipeline.settings["KINESIS__ENDPOINT_URL"]
        ),
        aws_lambda=LambdaSettings(leave_before_s=LEAVE_BEFORE_S),
    )


async def hand_over(
    pipeline: Pipeline, times: int, *, reading_s: float, last_s: float
) -> list[dict[str, Any]]:
    """Run invocations that each take over from the one before; return their answers.

    Each begins a second before the one before leaves, as the schedule would start it.
    For two seconds after that the server still refuses it with 406.
    """
    chosen, port = settings(pipeline), int(pipeline.settings["SIMULATOR__PORT"])
    limit = Limit(reading_s)
    running = [asyncio.create_task(produce(chosen, limit))]
    for number in range(times):
        await _until(limit.leaves_s - OVERLAP_S)
        limit = Limit(last_s if number == times - 1 else reading_s)
        running.append(asyncio.create_task(produce(chosen, limit)))
        await _refuse_after_the_last_left(port)
    return await asyncio.gather(*running)


async def _refuse_after_the_last_left(port: int) -> None:
    number = await order_fault(port, kind="error", code=406, for_s=60)
    await eventually(port, lambda found: found["clients"] == 0)
    await asyncio.sleep(REFUSED_S)
    await http(port, "DELETE", f"/sim/faults/{number}")


async def hand_overs_s(pipeline: Pipeline, times: int) -> list[float]:
    """Return how long nobody read, by the server's account.

    They are fewer than asked for when an invocation never got a connection: then one
    of them is long.
    """
    port = int(pipeline.settings["SIMULATOR__PORT"])
    _, missed, _ = await http(port, "GET", "/sim/missed")
    whole = [x for x in missed if (x["channel"], x["symbol"]) == ("trades", "AAPL")]
    over = [x for x in whole if x["to_ns"] is not None]
    return [(x["to_ns"] - x["from_ns"]) / 1e9 for x in over[:times]]


def prepare() -> dict[str, str]:
    """Return the settings of a market that lasts for the whole test."""
    return {
        "SIMULATOR__SYMBOLS": ",".join(SYMBOLS),
        "SIMULATOR__RATE_PER_S": "300",
        "SIMULATOR__STOP_AFTER_S": "3600",
    }


async def _until(moment_s: float) -> None:
    await asyncio.sleep(max(0.0, moment_s - time.monotonic()))
