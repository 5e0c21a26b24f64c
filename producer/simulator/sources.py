"""What the settings choose to be sent: a market or a recording."""

from conf.errors import FixSetup
from conf.settings import SimulatorSettings
from producer.simulator import faults
from producer.simulator.batch import Source
from producer.simulator.listing import TEST_SYMBOL
from producer.simulator.market import Market
from producer.simulator.replay import Replay


def stocks(settings: SimulatorSettings) -> Source:
    """Return the market of stocks, or the recording in its place.

    Raises:
        FixSetup: No recording in the folder, or settings that a replay cannot have.
    """
    if settings.replay is None:
        return Market(settings, settings.symbols)
    if any(faults.shares(settings)) or settings.halt_every_s is not None:
        raise FixSetup(
            "simulator.*_share, simulator.halt_every_s",
            "a replay sends what was recorded and nothing else",
            "Leave all shares at 0 and halts empty, or simulator.replay empty",
        )
    return Replay(settings.replay, speed=settings.speed, rate_per_s=settings.rate_per_s)


def test_market(settings: SimulatorSettings) -> Market:
    """Return Alpaca's test stream: one symbol, around the clock."""
    changes = {"hot_symbol": None, "calendar": "always", "halt_every_s": None}
    return Market(settings.model_copy(update=changes), [TEST_SYMBOL])


def nominal_rate(settings: SimulatorSettings) -> int | None:
    """Return the messages a second that are meant; None for a recording's own pace."""
    if settings.replay is not None:
        return None if settings.speed else settings.rate_per_s
    return settings.rate_per_s + (settings.hot_rate_per_s if settings.hot_symbol else 0)
