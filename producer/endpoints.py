"""Where the producer connects to, and what an address says about the other side."""

from urllib.parse import urlsplit

from conf.settings import AlpacaSettings


def is_loopback(url: str) -> bool:
    """Tell whether a URL points to this machine: to a simulator or an emulator."""
    return urlsplit(url).hostname in {"127.0.0.1", "::1", "localhost"}


def feed_url(settings: AlpacaSettings) -> str:
    """Return the full URL of the stream, ``wss://stream.data.alpaca.markets/v2/iex``."""
    return f"{settings.url.rstrip('/')}/v2/{settings.feed}"


def source(settings: AlpacaSettings) -> str:
    """Return the name of the feed that every wire record carries."""
    server = "simulator" if is_loopback(settings.url) else "alpaca"
    return f"{server}/{settings.feed}"


def subscribed_symbols(settings: AlpacaSettings) -> list[str]:
    """Return every symbol of any channel once, sorted; ``*`` stands for all."""
    return sorted({*settings.trades, *settings.quotes, *settings.bars})
