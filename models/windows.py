"""``TradingWindows`` as stable-baselines3 wants many environments: a ``VecEnv``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import (
    VecEnvIndices,
    VecEnvStepReturn,
)

from models.environment import TradingWindows


class SB3Windows(VecEnv):
    """Many windows of one tape, their rewards scaled for the learner.

    Args:
        windows: The environment.
        reward_unit: What counts as a reward of 1: an ordinary bar's log-return.
        seed: Of the episodes drawn.
    """

    def __init__(self, windows: TradingWindows, reward_unit: float, seed: int) -> None:
        self._windows, self._reward_unit, self._seed = windows, reward_unit, seed
        self._actions: NDArray[np.int64] = np.zeros(windows.num_envs, np.int64)
        super().__init__(
            windows.num_envs,
            windows.single_observation_space,
            windows.single_action_space,
        )

    def reset(self) -> NDArray[np.float32]:
        """Begin random episodes, the same ones after each construction."""
        return self._windows.reset(seed=self._seed)[0]

    def step_async(self, actions: NDArray[Any]) -> None:
        """Take the actions of the next step."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step every window."""
        seen, reward, terminated, truncated, told = self._windows.step(self._actions)
        ended = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for window in np.flatnonzero(ended):
            infos[window] = {
                "terminal_observation": told["final_obs"][window],
                "TimeLimit.truncated": bool(truncated[window]),
            }
        scaled = (reward / self._reward_unit).astype(np.float32)
        return seen, scaled, ended, infos

    def close(self) -> None:
        """Hold nothing open."""

    def has_attr(self, attr_name: str) -> bool:
        """Say that the actions have masks, which MaskablePPO asks for."""
        return attr_name == "action_masks"

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[None]:
        """Return nothing for each window: the base class asks for ``render_mode``."""
        return [None] * self.num_envs

    def set_attr(
        self, attr_name: str, value: object, indices: VecEnvIndices = None
    ) -> None:
        """Refuse: the windows are one object.

        Raises:
            AttributeError: Always.
        """
        raise AttributeError(f"{attr_name} of one window cannot be set")

    def env_method(
        self,
        method_name: str,
        *method_args: object,
        indices: VecEnvIndices = None,
        **method_kwargs: object,
    ) -> list[NDArray[np.bool_]]:
        """Return the masks of all windows, the one thing that learners ask for."""
        return list(self._windows.action_masks())

    def env_is_wrapped(
        self, wrapper_class: object, indices: VecEnvIndices = None
    ) -> list[bool]:
        """Say that nothing is wrapped."""
        return [False] * self.num_envs
