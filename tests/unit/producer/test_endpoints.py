from typing import Literal

import pytest

from conf.errors import FixSetup
from conf.kinesis import is_loopback
from conf.settings import AlpacaSettings
from producer.endpoints import feed_url, paper_url, source, subscribed_symbols

ALPACA = "wss://stream.data.alpaca.markets"


@pytest.mark.parametrize("feed", ["iex", "sip", "test"])
def test_the_feed_is_chosen_by_configuration_only(feed: Literal["iex", "sip", "test"]):
    settings = AlpacaSettings(url=ALPACA, feed=feed)
    assert feed_url(settings) == f"wss://stream.data.alpaca.markets/v2/{feed}"
    assert source(settings) == f"alpaca/{feed}"


def test_iex_is_the_default():
    assert feed_url(AlpacaSettings(url=ALPACA + "/")) == ALPACA + "/v2/iex"


@pytest.mark.parametrize(
    "url", ["ws://127.0.0.1:8765", "ws://localhost:1", "http://[::1]:80/x"]
)
def test_this_machine_is_the_simulator(url: str):
    assert is_loopback(url)
    assert source(AlpacaSettings(url=url)) == "simulator/iex"


@pytest.mark.parametrize("url", ["wss://localhost.example.com", "ws://10.0.0.1", ""])
def test_other_machines_are_not(url: str):
    assert not is_loopback(url)


def test_symbols_of_all_channels_count_once():
    others = {key: ["A"] for key in ("updated_bars", "statuses", "lulds")}
    settings = AlpacaSettings(trades=["B", "A"], quotes=["A"], bars=["*"], **others)
    assert subscribed_symbols(settings) == ["*", "A", "B"]


@pytest.mark.parametrize(
    ("chosen", "url"),
    [
        ({"url": ALPACA}, "https://paper-api.alpaca.markets"),
        ({"url": "ws://127.0.0.1:8765"}, "http://127.0.0.1:8765"),
        ({"account_url": "ws://localhost:1/stream"}, "http://localhost:1"),
    ],
)
def test_orders_go_to_the_paper_account_that_is_listened_to(
    chosen: dict[str, str], url: str
):
    assert paper_url(AlpacaSettings(**chosen)) == url


@pytest.mark.parametrize(
    "account_url",
    [
        "wss://api.alpaca.markets/stream",
        "ws://paper-api.alpaca.markets/stream",
        "wss://paper-api.alpaca.markets@api.alpaca.markets/stream",
        "wss://paper-api.alpaca.markets.example.com/stream",
        "wss://10.0.0.1/stream",
        "",
    ],
)
def test_no_order_goes_where_money_might_be(account_url: str):
    with pytest.raises(FixSetup, match="no paper account"):
        paper_url(AlpacaSettings(account_url=account_url))
