"""Where the producer connects to, and what an address says about the other side."""

from conf.kinesis import is_loopback
from conf.settings import AlpacaSettings
from producer.subscription import requested


def feed_url(settings: AlpacaSettings) -> str:
    """Return the full URL of the stream, ``wss://stream.data.alpaca.markets/v2/iex``."""
    return f"{settings.url.rstrip('/')}/v2/{settings.feed}"


def source(settings: AlpacaSettings) -> str:
    """Return the name of the feed that every wire record carries."""
    server = "simulator" if is_loopback(settings.url) else "alpaca"
    return f"{server}/{settings.feed}"


def subscribed_symbols(settings: AlpacaSettings) -> list[str]:
    """Return every symbol of any channel once, sorted; ``*`` stands for all."""
    return sorted({name for names in requested(settings).values() for name in names})
