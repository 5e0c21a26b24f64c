"""Runs validations: each writes its results, and the Data Docs follow."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from conf.errors import FixSetup
from conf.lake.files import offline_connection
from conf.logs import get_logger
from conf.settings import Settings
from infra.quality import docs
from infra.quality.results import Results, Verdict, last_versions
from infra.quality.validation import Validation

_log = get_logger(__name__)


class Runner:
    """Validates what is new, again and again.

    Args:
        settings: Which lake, and the bounds.
        everything: Begin with the first row of each table; by default where the last
            results end.
        results: Where to write what is found; None does not.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        results: Results | None,
        everything: bool = False,
    ) -> None:
        self._settings, self._results = settings, results
        with offline_connection() as connection:
            root = settings.lake.root
            done = {} if everything else last_versions(connection, root)
        self._validation = Validation(settings, done)
        self._newest: dict[str, Verdict] = {}
        self._shown: dict[str, list[str]] | None = None
        self._built_s = 0.0

    def run(self, *, is_live: bool = False) -> Iterator[Verdict]:
        """Validate what is new by now; yield each verdict once it is written.

        What comes meanwhile is left to the next run: beside a pipeline there is always
        something newer.

        Args:
            is_live: The pipeline runs, so the tables must be fresh.
        """
        run_id = uuid4().hex
        now_s = datetime.now(UTC).timestamp()
        if is_live:
            yield from self._keep(self._validation.freshness(now_s), run_id)
        while found := self._validation.step(now_s):
            yield from self._keep(found, run_id)

    def build_docs(self) -> Path:
        """Write the Data Docs of the newest verdict of each suite; return the index."""
        now = datetime.now(UTC)
        self._built_s, self._shown = now.timestamp(), self._failing()
        return docs.build(self._settings.data_docs, self._newest.values(), now)

    def build_docs_if_due(self) -> None:
        """Write the Data Docs when a verdict turned, and now and then."""
        age_s = datetime.now(UTC).timestamp() - self._built_s
        is_old = age_s >= self._settings.quality.docs_every_s
        if self._newest and (is_old or self._failing() != self._shown):
            self.build_docs()

    def _keep(self, found: list[Verdict], run_id: str) -> Iterable[Verdict]:
        if self._results and found:
            self._results.write(found, run_id, datetime.now(UTC))
        for verdict in found:
            self._newest[verdict.suite] = verdict
            for finding in verdict.failed:
                _log.warning(
                    "a rule does not hold",
                    suite=verdict.suite,
                    rule=finding.rule,
                    rows=finding.rows_failed,
                    examples=finding.examples,
                    version=verdict.version,
                )
        return found

    def _failing(self) -> dict[str, list[str]]:
        return {
            suite: [finding.rule for finding in verdict.failed]
            for suite, verdict in self._newest.items()
        }


def run_once(settings: Settings, *, everything: bool) -> tuple[list[Verdict], bool]:
    """Validate what is new, or everything, and write the Data Docs.

    Beside a running pipeline, whose own validation writes the results, it only tells.

    Returns:
        Every verdict, and whether the results were written.

    Raises:
        FixSetup: The lake is no local folder.
    """
    try:
        results = Results(settings.lake.root, settings.quality.keep_days)
    except FixSetup as held:
        _log.info("results are not written", because=str(held))
        results = None
    runner = Runner(settings, results=results, everything=everything)
    found = list(runner.run())
    if found:
        runner.build_docs()
    if results:
        results.release()
    return found, results is not None
