"""A lake to write into, and the API over it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.api.markets import Api, Market, serving


@pytest.fixture
def market(tmp_path: Path) -> Market:
    """A lake with every table, all of them empty."""
    market = Market(tmp_path)
    market.create()
    return market


@pytest.fixture
async def api(market: Market) -> AsyncIterator[Api]:
    """The API over it."""
    async with serving(market.settings) as api:
        yield api
