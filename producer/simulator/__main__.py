"""``python -m producer.simulator``: serve the simulated Alpaca until stopped."""

import asyncio
import sys

from conf.errors import FixSetup
from conf.logs import configure, get_logger
from conf.settings import load
from producer.simulator.server import serve

EXIT_FIX_SETUP = 3


def main() -> int:
    """Return the process's exit code: 0 after a stop, 3 when a person must act."""
    configure("simulator")
    try:
        settings = load()
        configure("simulator", level=settings.log_level)
        asyncio.run(serve(settings.simulator))
    except FixSetup as wrong:
        get_logger("simulator").error(str(wrong))
        return EXIT_FIX_SETUP
    return 0


if __name__ == "__main__":
    sys.exit(main())
