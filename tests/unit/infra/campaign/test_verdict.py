"""Each bound of the campaign can be broken, alone."""

from typing import Any

import pytest

from infra.local.campaign.run import Struck, summary
from infra.local.campaign.trials import CONTROL, Trial
from infra.local.campaign.verdict import broken_bounds

NOTHING = {"lost": 0, "duplicated": 0, "altered": 0}
COUNTS = {
    **NOTHING,
    "minutes_missing": 0,
    "minutes_twice": 0,
    "silver_rows": 1,
    "tail_differences": None,
    "seconds": 1_000.0,
}


def result(
    *recoveries: float | None,
    hits: int = 1,
    mutant: bool = True,
    control: bool = True,
    **more: Any,
) -> dict[str, Any]:
    struck = [
        Struck(f"fault-{n}", "F1", hits, 0.0, s) for n, s in enumerate(recoveries)
    ]
    trials = [Trial(CONTROL, NOTHING, control), Trial("blind", NOTHING, mutant)]
    return {**COUNTS, **summary(struck, trials), **more}


def test_a_good_campaign_breaks_nothing():
    good = result(*[3.0] * 95, *[44.0] * 5)
    assert broken_bounds(good) == []
    assert good["recovery_s"] == {"p50": 3.0, "p95": 5.0, "max": 44.0}


def test_the_control_is_no_mutant():
    found = result(1.0)
    assert (found["mutants"], found["mutants_caught"]) == (1, 1)
    assert result(1.0, mutant=False)["mutants_caught"] == 0


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (result(1.0, lost=1), "lost is 1, must be 0"),
        (result(1.0, duplicated=2), "duplicated is 2, must be 0"),
        (result(1.0, altered=3), "altered is 3, must be 0"),
        (result(1.0, tail_differences=1), "tail_differences is 1, must be 0"),
        (result(1.0, silver_rows=0), "silver is empty"),
        (result(46.0), "recovery p95 is 46.0 s, must be at most 45"),
        (result(1.0, None), "silver did not go on after fault-1"),
        (result(1.0, mutant=False), f"the mutant blind was not caught: {NOTHING}"),
        (result(1.0, hits=0), "fault-0 struck nothing"),
        (
            result(1.0, control=False),
            f"without a mutant the oracle finds {NOTHING}",
        ),
        (result(1.0, seconds=1_201.0), "took 1201.0 s, must be at most 1200"),
    ],
)
def test_one_bound_is_one_sentence(broken: dict[str, Any], says: str):
    assert broken_bounds(broken) == [says]
