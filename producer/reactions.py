"""How a connection ends, and what each of the server's errors means for the next one.

| code | reaction |
| --- | --- |
| 402 | stop: a person must set valid keys |
| 405, 409, 410 | stop: a person must change feed, channels or symbols |
| 406 | wait: another connection with these keys is open; never a second one of ours |
| 407 | reconnect: we were too slow, the server may cut any moment |
| 400, 401, 403, 404, 500, unknown | reconnect after a wait |
"""

from typing import Literal

from conf.errors import FixSetup, RetryLater
from producer.protocol import Control
from producer.subscription import Channels, describe

Cause = Literal[
    "cut", "mute", "half_open", "slow_client", "refused", "subscription",
    "restart", "new_disk", "hand_over", "spool_full", "spool_damaged",
]  # fmt: skip
"""Why something was not received; ``silver.gaps`` keeps it."""

RunCause = Literal["restart", "new_disk", "hand_over"]
"""Why something was not received between two runs."""


class AuthFailed(FixSetup):
    """The server refused the key."""


class ConnectionLost(RetryLater):
    """The connection ended; the next one may do better.

    Args:
        cause: Why, as the gap ledger names it.
        what: What happened, for a person.
    """

    def __init__(self, cause: Cause, what: str) -> None:
        self.cause: Cause = cause
        super().__init__(what)


def reaction(error: Control, channels: Channels) -> FixSetup | ConnectionLost:
    """Return the exception that says how to react to an error message.

    Known by its number, never by its text:
    https://docs.alpaca.markets/docs/streaming-market-data

    Args:
        error: The server's message.
        channels: What was asked for; errors about symbols name them.
    """
    what = f"the server answered {error.code} {error.text!r}"
    match error.code:
        case 402:
            return AuthFailed(
                "ALPACA_API_KEY, ALPACA_SECRET_KEY", what, "Set a valid pair of keys"
            )
        case 405:
            return FixSetup(
                "alpaca.trades, alpaca.quotes",
                f"{what} to {describe(channels)}",
                "Subscribe to fewer symbols than the plan's limit",
            )
        case 409 | 410:
            return FixSetup(
                "alpaca.feed",
                f"{what} to {describe(channels)}",
                "Choose a feed and channels of your plan",
            )
        case 406:
            what += ": another connection with these keys is open"
            return ConnectionLost("refused", what)
        case 407:
            return ConnectionLost("slow_client", what)
        case _:
            return ConnectionLost("refused", what)
