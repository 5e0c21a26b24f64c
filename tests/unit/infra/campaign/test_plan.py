"""What a campaign holds, and that its seed decides it."""

from pathlib import Path

import pytest

from conf.errors import FixSetup
from conf.settings import Settings
from infra.local.campaign.catalog import FAULTS
from infra.local.campaign.mutants import IN_LAYERS, IN_PRODUCER, Mutant
from infra.local.campaign.run import Campaign, run
from infra.local.campaign.trials import is_right
from producer.segments import MARK, RECORD, Segments, encode


def test_every_class_of_the_fault_model_has_a_fault():
    assert {fault.class_ for fault in FAULTS} == {f"F{n}" for n in range(1, 14)}
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


def test_a_seed_is_an_order():
    assert Campaign(7).order == Campaign(7).order
    assert Campaign(7).order != Campaign(8).order
    assert sorted(Campaign(7).order) == sorted(fault.name for fault in FAULTS)


def test_an_unknown_fault_is_refused_before_anything_runs():
    with pytest.raises(FixSetup, match=r"no fault nonsense.*Choose of kill-producer"):
        run(Settings(), seed=7, only=["mute", "nonsense"])


def test_twelve_mistakes_are_planted():
    assert len({mutant.name for mutant in (*IN_PRODUCER, *IN_LAYERS)}) == 12


@pytest.mark.parametrize("mutant", [*IN_PRODUCER, *IN_LAYERS], ids=lambda x: x.name)
def test_a_mutant_leaves_nothing_behind(mutant: Mutant):
    right = getattr(mutant.owner, mutant.attribute)
    with mutant.planted():
        assert getattr(mutant.owner, mutant.attribute) is not right
    assert getattr(mutant.owner, mutant.attribute) is right


def test_what_is_acknowledged_too_early_is_in_memory_alone(tmp_path: Path):
    (mutant,) = (x for x in IN_PRODUCER if x.name == "acknowledged-before-fsync")
    records = [encode(RECORD, n, 1, "KO", b"body") for n in (1, 2)]
    segments = Segments(tmp_path)
    with mutant.planted():
        places = segments.write([*records, encode(MARK, 2, 0, "", b"{}")])
    assert len(places) == 3
    assert [entry.kind for entry in segments.read_all()] == [MARK]


@pytest.mark.parametrize("mutant", [*IN_PRODUCER, *IN_LAYERS], ids=lambda x: x.name)
def test_a_mutant_is_caught_by_what_it_does(mutant: Mutant):
    nothing = {"lost": 0, "duplicated": 0, "altered": 0}
    assert is_right(mutant, {**nothing, mutant.shows_as: 1})
    for other in nothing.keys() - {mutant.shows_as}:
        assert not is_right(mutant, {**nothing, other: 1})


def test_without_a_mutant_nothing_may_be_found():
    assert is_right(None, {"lost": 0, "duplicated": 0, "altered": 0})
    assert not is_right(None, {"lost": 0, "duplicated": 0, "altered": 1})
