"""How soon a pipeline that ran before shows gold again: ``first_gold_s`` as JSON.

``python -m infra.local.second_start`` runs it twice on a var folder of its own.
"""

import shutil
import sys

import msgspec

from conf import logs
from conf.settings import Settings, load
from infra.local.state import settled_in
from infra.local.supervisor import Pipeline

_RUN_ON_S = 20.0


def second_start(settings: Settings) -> float:
    """Return the seconds from the second start to its first row of gold.

    Raises:
        FixSetup: The pipeline cannot run, or ended before it showed gold.
    """
    var = settings.var / "second-start"
    chosen = settled_in(settings, var)
    shutil.rmtree(var, ignore_errors=True)
    first_gold_s(chosen, run_on_s=_RUN_ON_S)
    seconds = first_gold_s(chosen, run_on_s=0)
    shutil.rmtree(var)
    return seconds


def first_gold_s(settings: Settings, *, run_on_s: float) -> float:
    """Return the seconds from a start to its first row of gold, then drain.

    Args:
        settings: What to run.
        run_on_s: How long it runs on after that row.
    """
    with Pipeline(settings) as pipeline:
        pipeline.launch()
        seconds = pipeline.until_gold()
        pipeline.wait(run_on_s)
        return seconds


def main() -> int:
    """Print the result; return the exit code."""
    settings = load()
    logs.configure("second-start", level=settings.log_level)
    result = {"first_gold_s": second_start(settings)}
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
