"""Where the producer connects to, and what an address says about the other side."""

from urllib.parse import urlsplit

from conf.errors import FixSetup
from conf.kinesis import is_loopback
from conf.settings import AlpacaSettings, Settings
from producer.subscription import requested

_PAPER_HOST = "paper-api.alpaca.markets"


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


def account_url(settings: AlpacaSettings) -> str:
    """Return the URL of the account stream: a simulator serves its own."""
    if settings.account_url is not None:
        return settings.account_url
    if is_loopback(settings.url):
        return f"{settings.url.rstrip('/')}/stream"
    return f"wss://{_PAPER_HOST}/stream"


def trading_url(settings: AlpacaSettings) -> str:
    """Return the base URL of the account's REST, which is beside its stream."""
    address = urlsplit(account_url(settings))
    scheme = "https" if address.scheme == "wss" else "http"
    return f"{scheme}://{address.netloc}"


def paper_url(settings: AlpacaSettings) -> str:
    """Return ``trading_url`` of an account without money.

    Raises:
        FixSetup: It might have some: it is neither Alpaca's paper account nor local.
    """
    url = trading_url(settings)
    address = urlsplit(url)
    if is_loopback(url) or (address.scheme, address.hostname) == ("https", _PAPER_HOST):
        return url
    raise FixSetup(
        "alpaca.account_url",
        f"{url} is no paper account, and orders never go to another",
        f"Leave it empty, or set it to wss://{_PAPER_HOST}/stream",
    )


def account_source(settings: AlpacaSettings) -> str:
    """Return the name of the account stream; silver knows it by its end."""
    server = "simulator" if is_loopback(account_url(settings)) else "alpaca"
    return f"{server}/trade_updates"


def is_always_open(settings: Settings) -> bool:
    """Tell whether this market never closes: the test symbol, or the simulator's."""
    is_simulated = is_loopback(settings.alpaca.url)
    always = is_simulated and settings.simulator.calendar == "always"
    return always or settings.alpaca.feed == "test"


def subscribed_symbols(settings: AlpacaSettings) -> list[str]:
    """Return every symbol of any channel once, sorted; ``*`` stands for all."""
    return sorted({name for names in requested(settings).values() for name in names})
