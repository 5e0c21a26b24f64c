"""What a study is made of, and how: a tape, where it comes from, folds and seeds."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from conf.lake.manifest import Manifest
from models.account import Costs
from models.card import UNKNOWN_FEED
from models.environment import Rules
from models.tape import Tape

_FIRST_SHARE = 0.5


@dataclass(frozen=True)
class Plan:
    """How a study is made.

    Attributes:
        name: Of the data and purpose, for people.
        configuration: The recipe as one line.
        costs: At 1x.
        seeds: Trainings per fold.
        folds: Tests.
        embargo: Bars between learning and judging.
        first_share: Share of the bars that the first fold learns from.
        episode_bars: Length of a training episode.
        bars_a_day: What the bootstrap draws together.
        bars_a_year: Makes ratios annual.
        counts_by_session: See ``Rules``.
        data: See ``Material``. Not in the ``repr``, which names notes of trainings:
            there the tape's digest stands for it.
    """

    name: str
    configuration: str
    costs: Costs
    seeds: int
    folds: int
    embargo: int
    first_share: float
    episode_bars: int
    bars_a_day: int
    bars_a_year: float
    counts_by_session: bool = False
    data: str = field(default="", repr=False)

    def rules(self, multiple: float = 1.0) -> Rules:
        """Return what holds in every episode, at a multiple of the costs."""
        costs = self.costs.times(multiple)
        return Rules(costs, counts_by_session=self.counts_by_session)


@dataclass(frozen=True)
class Material:
    """A tape to study.

    Attributes:
        name: Of the data, for people.
        source: The file, or the tables with their versions.
        tape: What is traded.
        bars_a_day: What the bootstrap draws together.
        embargo: Bars between learning and judging.
        episode_bars: Length of a training episode.
        manifest: Versions of the lake that it was read from; None for a file.
        is_live: Its sessions are the ones that accounts are counted by live.
        feed: What fed it (``models.feed``); of a file nothing tells.
        symbol: What is traded; empty if only the file's name says it.
        data: What the data is, whatever its name: trials on the same are counted
            together. Of a file the digest of its bars; of the lake the symbol, for
            its minutes go on and another lake may hold the same.
        setting: What else the tape follows from, by name, for ``models.runs``.
    """

    name: str
    source: str
    tape: Tape
    bars_a_day: int
    embargo: int
    episode_bars: int
    manifest: Manifest | None = None
    is_live: bool = False
    feed: str = UNKNOWN_FEED
    symbol: str = ""
    data: str = ""
    setting: dict[str, Any] = field(default_factory=dict)

    @property
    def bar_length_s(self) -> int:
        """Length of its bars: how far most of them are apart."""
        apart, counts = np.unique(np.diff(self.tape.time_ns), return_counts=True)
        return round(int(apart[counts.argmax()]) / 1e9)

    def plan(self, configuration: str, seeds: int, folds: int) -> Plan:
        """Return how it is studied."""
        return Plan(
            name=self.name,
            configuration=configuration,
            costs=Costs(),
            seeds=seeds,
            folds=folds,
            embargo=self.embargo,
            first_share=_FIRST_SHARE,
            episode_bars=self.episode_bars,
            bars_a_day=self.bars_a_day,
            bars_a_year=252.0 * self.bars_a_day,
            counts_by_session=self.is_live,
            data=self.data,
        )
