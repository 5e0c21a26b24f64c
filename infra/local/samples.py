"""Memory and CPU time of every process of a run, taken once a second."""

from collections import defaultdict
from collections.abc import Sequence

from infra.local.state import ProcessStatus

TOTAL = "total"


class Usage:
    """Peaks and sums over a run; a restarted process goes on under its name."""

    def __init__(self) -> None:
        self._peak_mb: dict[str, float] = defaultdict(float)
        self._cpu_s: dict[str, dict[str, float]] = defaultdict(dict)

    def add(self, processes: Sequence[ProcessStatus]) -> None:
        """Take one reading of all processes."""
        running = [p for p in processes if p.pid is not None]
        for process in running:
            self._raise_peak(process.name, process.rss_mb)
            # CPU time starts again at zero with each new process of that name, and is
            # read as zero when one has ended but is not buried.
            used = self._cpu_s[process.name]
            identity = process.identity or ""
            used[identity] = max(used.get(identity, 0.0), process.cpu_s)
        self._raise_peak(TOTAL, sum(process.rss_mb for process in running))

    @property
    def peak_rss_mb(self) -> dict[str, float]:
        """Peak by process; ``total`` is the peak of the sum, not the sum of peaks."""
        return dict(self._peak_mb)

    @property
    def cpu_s(self) -> dict[str, float]:
        """CPU seconds by process, over all its restarts."""
        return {name: round(sum(s.values()), 1) for name, s in self._cpu_s.items()}

    def _raise_peak(self, name: str, rss_mb: float) -> None:
        self._peak_mb[name] = max(self._peak_mb[name], round(rss_mb, 1))
