"""The trading environment: one window for gymnasium, many at once for training.

A decision is made when a bar closes, filled at the quote or open that follows, and
valued when the next bar closes. Both environments are the same ``Simulation``, so they
cannot disagree.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from models.account import Accounts, Action, Actions, Costs
from models.observation import ACCOUNT_INPUTS, CLIP, observations
from models.rewards import RewardName, Rewards
from models.tape import Booleans, Floats, Integers, Tape

Seen = NDArray[Any]
"""What is seen, as float32: the type that gymnasium and torch expect."""


@dataclass(frozen=True)
class Rules:
    """What holds in every episode.

    Attributes:
        costs: Of every order.
        reward: What a step earns.
        cash: USD that an episode begins with.
        ruin_share: An episode terminates when less than this share of the cash is left.
        flat_at_close: The last decision of an episode sells, whatever the agent says.
        counts_by_session: The agent sees what it made since the session's first bar, as
            it does live; otherwise since the episode's.
    """

    costs: Costs = field(default_factory=Costs)
    reward: RewardName = "log"
    cash: float = 100_000.0
    ruin_share: float = 0.1
    flat_at_close: bool = False
    counts_by_session: bool = False


class Step(NamedTuple):
    """What one step of all windows did; an entry each."""

    reward: Floats
    terminated: Booleans
    truncated: Booleans
    traded: Booleans


class Simulation:
    """Some accounts, each walking through its own stretch of one tape."""

    def __init__(self, tape: Tape, windows: int, rules: Rules) -> None:
        self.tape, self.rules = tape, rules
        self.at = np.zeros(windows, np.int64)
        self.last = np.zeros(windows, np.int64)
        self.accounts = Accounts.opened(windows, rules.cash)
        self._begun_with = np.full(windows, rules.cash)
        self._rewards = Rewards(rules.reward, windows)

    def begin(self, which: Booleans, episodes: Integers) -> None:
        """Begin an episode, its first and last row of the tape, in some windows."""
        self.at[which], self.last[which] = episodes.T
        self.accounts.reopen(which, self.rules.cash)
        self._begun_with[which] = self.rules.cash
        self._rewards.forget(which)

    def observe(self) -> Floats:
        """Return what is seen in each window."""
        return observations(self.tape, self.at, self.accounts, self._begun_with)

    def masks(self) -> Booleans:
        """Return which actions do something: HOLD always, BUY flat, SELL long."""
        is_long = self.accounts.is_long
        return np.stack([np.ones_like(is_long), ~is_long, is_long], 1)

    def value(self) -> Floats:
        """Return USD of each account."""
        return self.accounts.value(self.tape.mark[self.at])

    def step(self, actions: Actions) -> Step:
        """Decide in every window, fill, and move on to the next bar."""
        tape, at = self.tape, self.at
        if self.rules.flat_at_close:
            actions = np.where(at + 1 >= self.last, Action.SELL, actions)
        before = self.value()
        traded = self.accounts.order(
            actions, tape.bid[at], tape.ask[at], self.rules.costs
        )
        self.at = at + 1
        after = self.value()
        if self.rules.counts_by_session:
            opens = tape.session[self.at] != tape.session[at]
            self._begun_with = np.where(opens, after, self._begun_with)
        terminated = after < self.rules.ruin_share * self.rules.cash
        # The day's end is a limit of time, no state of the market: its value counts on.
        truncated = (self.at >= self.last) & ~terminated
        reward = self._rewards.earned(before, after)
        return Step(reward, terminated, truncated, traded)


def spaces_of(tape: Tape) -> tuple[spaces.Box, spaces.Discrete]:
    """Return the observation and action space of one window."""
    inputs = tape.features.shape[1] + len(ACCOUNT_INPUTS)
    return spaces.Box(-CLIP, CLIP, (inputs,), np.float32), spaces.Discrete(len(Action))


class TradingEnvironment(gymnasium.Env[Seen, np.int64]):
    """One window, for gymnasium.

    Args:
        tape: What is traded against.
        episodes: First and last row of each; ``models.tape`` makes them.
        rules: Costs, reward, cash.
    """

    def __init__(
        self, tape: Tape, episodes: Integers, rules: Rules | None = None
    ) -> None:
        self.observation_space, self.action_space = spaces_of(tape)
        self._episodes = episodes
        self._simulation = Simulation(tape, 1, rules or Rules())

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Seen, dict[str, Any]]:
        """Begin an episode: a random one, or number ``options["episode"]``."""
        super().reset(seed=seed)
        drawn = int(self.np_random.integers(len(self._episodes)))
        number = (options or {}).get("episode", drawn)
        self._simulation.begin(np.array([True]), self._episodes[number])
        return self._seen(), self._told()

    def step(
        self, action: np.int64 | int
    ) -> tuple[Seen, float, bool, bool, dict[str, Any]]:
        """Decide at this bar's close; ``info`` has the account and the raw prices."""
        step = self._simulation.step(np.array([action]))
        told = self._told() | {"traded": bool(step.traded[0])}
        terminated, truncated = bool(step.terminated[0]), bool(step.truncated[0])
        return self._seen(), float(step.reward[0]), terminated, truncated, told

    def action_masks(self) -> Booleans:
        """Return which actions do something now; MaskablePPO asks for it."""
        masks: Booleans = self._simulation.masks()[0]
        return masks

    def _seen(self) -> Seen:
        seen: Seen = self._simulation.observe()[0].astype(np.float32)
        return seen

    def _told(self) -> dict[str, Any]:
        simulation = self._simulation
        row = int(simulation.at[0])
        return {
            "row": row,
            "price": float(simulation.tape.mark[row]),
            "cash": float(simulation.accounts.cash[0]),
            "shares": float(simulation.accounts.shares[0]),
            "portfolio_value": float(simulation.value()[0]),
        }


class TradingWindows(VectorEnv[Seen, Actions, NDArray[Any]]):
    """Many windows of one tape at once, each begun anew in the step that ends it."""

    def __init__(
        self, tape: Tape, episodes: Integers, windows: int, rules: Rules | None = None
    ) -> None:
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.num_envs = windows
        self.single_observation_space, self.single_action_space = spaces_of(tape)
        self.observation_space = batch_space(self.single_observation_space, windows)
        self.action_space = batch_space(self.single_action_space, windows)
        self.simulation = Simulation(tape, windows, rules or Rules())
        self._episodes = episodes

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Seen, dict[str, Any]]:
        """Begin random episodes, or those numbered ``options["episodes"]``."""
        if seed is not None:
            self._np_random = np.random.default_rng(seed)  # type: ignore[arg-type]
        drawn = self.np_random.integers(len(self._episodes), size=self.num_envs)
        numbers = (options or {}).get("episodes", drawn)
        everywhere = np.ones(self.num_envs, np.bool_)
        self.simulation.begin(everywhere, self._episodes[numbers])
        return self._seen(), {}

    def step(
        self, actions: Actions
    ) -> tuple[Seen, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Decide in each window.

        Where an episode ended, the observation is the first of the next one, and
        ``info["final_obs"]`` has the last of the old one.
        """
        step = self.simulation.step(actions)
        seen: Seen = self._seen()
        told: dict[str, Any] = {"traded": step.traded}
        ended = step.terminated | step.truncated
        if ended.any():
            told |= {"final_obs": seen, "_final_obs": ended}
            drawn = self.np_random.integers(len(self._episodes), size=int(ended.sum()))
            self.simulation.begin(ended, self._episodes[drawn])
            seen = self._seen()
        return seen, step.reward, step.terminated, step.truncated, told

    def action_masks(self) -> Booleans:
        """Return which actions do something now, a row per window."""
        return self.simulation.masks()

    def _seen(self) -> Seen:
        return self.simulation.observe().astype(np.float32)
