"""Agents of a version in the making: what was stopped goes on where it was."""

import itertools
from collections.abc import Callable
from typing import get_args

from models.scoring import Activation, Head, Network
from models.store import Store
from models.weights import (
    MOST_BYTES,
    Unacceptable,
    arrays_of,
    networks_of,
    packed,
    unpacked,
)

_KINDS = list(itertools.product(get_args(Head), get_args(Activation)))


class Checkpoints:
    """The agents so far, beside the versions of their model.

    Args:
        store: Of the model.
        key: Names what they learn from and how: the same key, the same weights.
    """

    def __init__(self, store: Store, key: str) -> None:
        self._store, self._folder = store, f"checkpoints/{key}"

    def load(self, seed: int, tell: Callable[[str], None]) -> Network | None:
        """Return a seed's agent.

        None if there is none, or a spoilt one: that is told, for it is trained anew.
        """
        for head, activation in _KINDS:
            path = self._path(seed, head, activation)
            if self._store.has(path):
                try:
                    return self._read(path, head, activation)
                except (Unacceptable, KeyError) as error:
                    tell(f"{path} is spoilt, and trained anew: {error}")
        return None

    def save(self, seed: int, network: Network) -> None:
        """Keep a seed's agent."""
        path = self._path(seed, network.head, network.activation)
        self._store.write(path, packed(arrays_of([network])))

    def clear(self) -> None:
        """Forget all of them: the version is complete."""
        self._store.remove(self._folder)

    def _read(self, path: str, head: Head, activation: Activation) -> Network:
        arrays = unpacked(self._store.read(path, MOST_BYTES))
        inputs = len(arrays["seed0.actor.weight0"])
        return networks_of(arrays, head, activation, inputs, seeds=1)[0]

    def _path(self, seed: int, head: str, activation: str) -> str:
        return f"{self._folder}/{seed}.{head}.{activation}.npz"
