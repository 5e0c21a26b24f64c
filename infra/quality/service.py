"""Validation beside a running pipeline: ``python -m infra.quality.service``.

A process of its own, politer than all others. It reads files of the lake and writes
``quality.results``; whatever it finds, and whatever becomes of it, the stream goes on.
On SIGTERM it checks what is left, once.
"""

import signal
import sys
import threading
import time

from conf import logs, settings
from conf.errors import FixSetup
from conf.settings import Settings
from infra.local.state import LIVE, QualityStatus, run_folder, write
from infra.politeness import be_polite

_POLITENESS = 10
_log = logs.get_logger(__name__)


def serve(chosen: Settings, stop: threading.Event) -> None:
    """Validate every so often until ``stop`` is set, and then once more.

    Raises:
        FixSetup: Another process validates this lake.
    """
    status = QualityStatus(LIVE, updated=time.time())
    path = run_folder(chosen) / "quality.json"
    write(path, status)
    stop.wait(chosen.quality.every_s)
    # Seconds, which the start of the pipeline needs for itself.
    from infra.quality.results import Results  # noqa: PLC0415
    from infra.quality.runner import Runner  # noqa: PLC0415

    results = Results(chosen.lake.root, chosen.quality.keep_days)
    runner = Runner(chosen, results=results)
    is_last = False
    while not is_last:
        is_last = stop.is_set()
        began = time.monotonic()
        verdicts = list(runner.run(is_live=not is_last))
        runner.build_docs_if_due()
        seconds = time.monotonic() - began
        status = QualityStatus(
            LIVE,
            updated=time.time(),
            rows=sum(max(f.rows_checked for f in v.findings) for v in verdicts),
            failed=sorted({f"{v.suite}: {f.rule}" for v in verdicts for f in v.failed}),
            seconds=round(seconds, 3),
        )
        write(path, status)
        stop.wait(max(0.0, chosen.quality.every_s - seconds))
    results.release()


def main() -> int:
    """Run until SIGTERM or SIGINT; return the exit code."""
    chosen = settings.load()
    logs.configure("quality", level=chosen.log_level)
    be_polite(_POLITENESS)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        serve(chosen, stop)
    except FixSetup as error:
        sys.stderr.write(f"tickhouse: {error}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
