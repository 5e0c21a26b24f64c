"""A paper account, at Alpaca or in the simulator: what it holds, and orders for it."""

from decimal import Decimal
from typing import Any, Literal, NamedTuple

import requests
from alpaca.common.exceptions import APIError
from alpaca.common.rest import RESTClient
from requests.adapters import HTTPAdapter

from conf.errors import BadRecord, FixSetup, RetryLater
from conf.kinesis import is_loopback
from conf.settings import AlpacaSettings
from producer.endpoints import paper_url

_TIMEOUT_S = 10.0
_KNOWN_ID = "client_order_id must be unique"
_BUSY = 429
_SERVER_ERRORS = 500
_REFUSED_KEYS = (401, 403)


class NoOrder(BadRecord):
    """Nothing follows from a decision, or the account refuses what does."""


class Order(NamedTuple):
    """A market order; its id must be new to the account."""

    id: str
    symbol: str
    side: Literal["buy", "sell"]
    shares: int


class PaperAccount:
    """A paper account, by its REST API.

    Args:
        settings: Where, and the keys.

    Raises:
        FixSetup: It would be no paper account.
    """

    def __init__(self, settings: AlpacaSettings) -> None:
        url = paper_url(settings)
        # `TradingClient` adds types to two calls, and loads Alpaca's streams.
        self._client = RESTClient(
            base_url=url,
            api_key=settings.api_key.get_secret_value(),
            secret_key=settings.secret_key.get_secret_value(),
            sandbox=True,
            raw_data=True,
        )
        # It offers neither: an end to waiting, and leaving the retries to us.
        for scheme in ("http://", "https://"):
            self._client._session.mount(scheme, _Impatient())
        self._client._retry = 0
        # No proxy leads to this machine.
        self._client._session.trust_env = not is_loopback(url)

    def held(self) -> dict[str, int]:
        """Return the whole shares held, by symbol; what is short is not.

        Raises:
            RetryLater: Nobody answers.
            FixSetup: The account refuses the keys.
        """
        try:
            positions: Any = self._client.get("/positions")
        except (APIError, requests.RequestException) as error:
            if _status(error) in _REFUSED_KEYS:
                raise FixSetup(
                    "ALPACA_API_KEY",
                    f"the paper account refuses it: {error}",
                    "Use the keys of Alpaca's paper dashboard",
                ) from error
            raise RetryLater(str(error)) from error
        shares = {each["symbol"]: int(Decimal(each["qty"])) for each in positions}
        return {symbol: count for symbol, count in shares.items() if count > 0}

    def place(self, order: Order) -> bool:
        """Place an order; return whether it is new to the account.

        What the next quotes do not fill is cancelled: an order never waits for a market
        to open.

        Raises:
            RetryLater: Nobody answers, or not now.
            NoOrder: It is refused.
        """
        wanted = {
            "symbol": order.symbol,
            "qty": str(order.shares),
            "side": order.side,
            "type": "market",
            "time_in_force": "ioc",
            "client_order_id": order.id,
        }
        try:
            self._client.post("/orders", wanted)
        except (APIError, requests.RequestException) as error:
            if _KNOWN_ID in str(error):
                return False
            status = _status(error)
            if status is None or status == _BUSY or status >= _SERVER_ERRORS:
                raise RetryLater(str(error)) from error
            raise NoOrder(str(error)) from error
        return True


def _status(error: Exception) -> int | None:
    return error.status_code if isinstance(error, APIError) else None


class _Impatient(HTTPAdapter):
    """Ends a request that gets no answer: alpaca-py would wait for ever."""

    def send(
        self,
        request: requests.PreparedRequest,
        *_: object,
        **options: Any,  # noqa: ANN401 (requests')
    ) -> requests.Response:
        return super().send(request, **{**options, "timeout": _TIMEOUT_S})
