"""Where the producer connects to, and what an address says about the other side."""

from urllib.parse import urlsplit

from conf.kinesis import is_loopback
from conf.settings import AlpacaSettings, Settings
from producer.subscription import requested


def feed_url(settings: AlpacaSettings) -> str:
    """Return the full URL of the stream, ``wss://stream.data.alpaca.markets/v2/iex``."""
    return f"{settings.url.rstrip('/')}/v2/{settings.feed}"


def rest_url(settings: Settings) -> str:
    """Return the base URL of the history: a simulator serves its own."""
    if settings.backfill.url is not None:
        return settings.backfill.url.rstrip("/")
    if is_loopback(settings.alpaca.url):
        return f"http://{urlsplit(settings.alpaca.url).netloc}"
    return "https://data.alpaca.markets"


def source(settings: AlpacaSettings) -> str:
    """Return the name of the feed that every wire record carries."""
    server = "simulator" if is_loopback(settings.url) else "alpaca"
    return f"{server}/{settings.feed}"


def subscribed_symbols(settings: AlpacaSettings) -> list[str]:
    """Return every symbol of any channel once, sorted; ``*`` stands for all."""
    return sorted({name for names in requested(settings).values() for name in names})
