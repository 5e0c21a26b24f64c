"""Channels and their symbols: what is asked for, allowed by the plan, and given."""

from collections.abc import Mapping

import msgspec

from conf.errors import FixSetup
from conf.market.wire import CHANNELS_WITH_TRADES, COUNTED_CHANNELS
from conf.settings import AlpacaSettings

FREE_SYMBOLS = 30
"""Most symbols over trades and quotes together on the free plan."""

Channels = Mapping[str, list[str]]
"""Symbols by channel (``trades``, ``updatedBars`` …); ``*`` stands for all."""

_LIMITED_FEED = "iex"


class Mismatch(msgspec.Struct, frozen=True):
    """How a confirmed subscription differs from the request, by channel."""

    missing: dict[str, list[str]]
    extra: dict[str, list[str]]


def requested(settings: AlpacaSettings) -> dict[str, list[str]]:
    """Return the symbols of every channel that is to be subscribed."""
    asked = {
        "trades": settings.trades,
        "quotes": settings.quotes,
        "bars": settings.bars,
        "updatedBars": settings.updated_bars,
        "dailyBars": settings.daily_bars,
        "statuses": settings.statuses,
        "lulds": settings.lulds,
    }
    return {channel: symbols for channel, symbols in asked.items() if symbols}


def delivered(channels: Channels) -> dict[str, list[str]]:
    """Return the channels that come of a subscription.

    Alpaca sends the corrections and cancels of every symbol whose trades are
    subscribed; they cannot be subscribed by themselves.
    """
    trades = channels.get("trades", [])
    return {
        **channels,
        **(dict.fromkeys(CHANNELS_WITH_TRADES, trades) if trades else {}),
    }


def check_plan(settings: AlpacaSettings) -> None:
    """Refuse a subscription that the plan's server would refuse with 405.

    Raises:
        FixSetup: Nothing is asked for, or too many symbols; says which to drop.
    """
    channels = requested(settings)
    if not channels:
        raise FixSetup(
            "alpaca.trades, alpaca.quotes, alpaca.bars",
            "no channel has a symbol",
            "Name at least one: TICKHOUSE_ALPACA__TRADES=AAPL",
        )
    symbols, limit = counted(channels), plan_limit(settings)
    if limit is not None and len(symbols) > limit:
        raise FixSetup(
            "alpaca.trades, alpaca.quotes",
            f"{len(symbols)} symbols, the free plan allows {limit} over both",
            f"Drop {', '.join(symbols[limit:])}, or set alpaca.plan to paid",
        )


def plan_limit(settings: AlpacaSettings) -> int | None:
    """Return how many symbols the plan allows on this feed; None is any number."""
    is_limited = settings.plan == "free" and settings.feed == _LIMITED_FEED
    return FREE_SYMBOLS if is_limited else None


def describe(channels: Channels) -> str:
    """Return what is subscribed in one line, as a person writes it."""
    return ", ".join(f"{name}: {' '.join(names)}" for name, names in channels.items())


def compare(asked: Channels, confirmed: Channels) -> Mismatch | None:
    """Return how the confirmation differs from the request, or None.

    Channels that were not requested are not compared: Alpaca adds corrections and
    cancels to trades on its own.
    """
    missing: dict[str, list[str]] = {}
    extra: dict[str, list[str]] = {}
    for channel, symbols in asked.items():
        given = confirmed.get(channel, [])
        if absent := sorted(set(symbols) - set(given)):
            missing[channel] = absent
        if unasked := sorted(set(given) - set(symbols)):
            extra[channel] = unasked
    return Mismatch(missing, extra) if missing or extra else None


def counted(channels: Channels) -> list[str]:
    """Return the symbols that a plan counts, each once, in the order asked."""
    names = [name for channel in COUNTED_CHANNELS for name in channels.get(channel, [])]
    return [name for name in dict.fromkeys(names) if name != "*"]
