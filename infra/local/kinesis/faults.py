"""Duplicates on demand, to prove that what reads the stream removes them.

A chosen PutRecords entry is stored and answered as failed (``InternalFailure``), which
real streams do when an answer is lost. A correct client sends it again, and the stream
then holds the same payload twice. The ledger ``injected_duplicates`` in the store lists
each such entry's shard and sequence number.
"""

import random


class DuplicateFaults:
    """Chooses entries in their order of arrival; the same seed, the same choices.

    Args:
        rate: Share of the admitted PutRecords entries, 0 for none.
        seed: Seed of the choices; they start anew with the process.
    """

    def __init__(self, rate: float, seed: int) -> None:
        self._rate = rate
        self._random = random.Random(seed)

    def strikes(self) -> bool:
        """Decide about the next entry."""
        return self._rate > 0 and self._random.random() < self._rate
