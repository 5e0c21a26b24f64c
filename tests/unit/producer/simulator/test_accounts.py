"""One connection per key and feed, whichever of two ends first."""

from contextlib import ExitStack
from typing import Any

import pytest

from producer.simulator.accounts import Accounts
from producer.simulator.peer import Peer, Who
from producer.simulator.protocol import Refused

WHO = Who("/v2/iex", "key")


def peer() -> Peer:
    connection: Any = None  # nothing is said
    return Peer(connection, text=True)


def test_one_that_was_replaced_may_end_last():
    accounts, first, second = Accounts(), peer(), peer()
    with ExitStack() as old:
        old.enter_context(accounts.admitted(first, WHO, "secret"))
        first.is_abandoned = True
        with accounts.admitted(second, WHO, "secret"):
            pass
    with accounts.admitted(peer(), WHO, "secret"):
        pass


def test_the_end_of_one_that_was_replaced_frees_nothing():
    accounts, first, second = Accounts(), peer(), peer()
    with ExitStack() as old, ExitStack() as new:
        old.enter_context(accounts.admitted(first, WHO, "secret"))
        first.is_abandoned = True
        new.enter_context(accounts.admitted(second, WHO, "secret"))
        old.close()
        with (
            pytest.raises(Refused),
            accounts.admitted(peer(), WHO, "secret"),
        ):
            pass
