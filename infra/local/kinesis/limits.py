"""What one shard takes and gives each second, enforced with token buckets.

A bucket holds one second's worth. A request larger than that is admitted when the
bucket is full and leaves a debt, so the average holds for large records too.
"""

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Budget of one shard in units a second; the defaults are AWS's."""

    written_records: int = 1_000
    written_bytes: int = MIB
    read_bytes: int = 2 * MIB
    get_records_calls: int = 5
    get_iterator_calls: int = 5


UNLIMITED = Limits(*[1 << 60] * 5)


class TokenBucket:
    """A budget that refills at a steady rate and holds one second of it."""

    def __init__(self, per_second: int) -> None:
        self.capacity = per_second
        # in thousandths, because a millisecond refills a thousandth of the rate
        self._level_milli = per_second * 1000
        self._updated_ms = 0

    def level(self, now_ms: int) -> float:
        """Return what is left; below zero it is a debt."""
        if now_ms > self._updated_ms:
            refill_milli = (now_ms - self._updated_ms) * self.capacity
            self._level_milli = min(
                self.capacity * 1000, self._level_milli + refill_milli
            )
            self._updated_ms = now_ms
        return self._level_milli / 1000

    def covers(self, amount: int, now_ms: int) -> bool:
        """Tell whether the amount, or a full bucket, is there to be spent."""
        return self.level(now_ms) >= min(amount, self.capacity)

    def spend(self, amount: int) -> None:
        """Take the amount out, into debt if need be."""
        self._level_milli -= amount * 1000

    def forfeit(self) -> None:
        """Give up what is left, but no debt."""
        self._level_milli = min(0, self._level_milli)


class ShardBudget:
    """The five budgets of one shard."""

    def __init__(self, limits: Limits) -> None:
        self._written_records = TokenBucket(limits.written_records)
        self._written_bytes = TokenBucket(limits.written_bytes)
        self._read_bytes = TokenBucket(limits.read_bytes)
        self._reads = TokenBucket(limits.get_records_calls)
        self._iterators = TokenBucket(limits.get_iterator_calls)

    def admit_write(self, size_bytes: int, now_ms: int) -> bool:
        """Spend the budget of one record, or return False and spend nothing."""
        if not self._written_records.covers(1, now_ms):
            return False
        if not self._written_bytes.covers(size_bytes, now_ms):
            return False
        self._written_records.spend(1)
        self._written_bytes.spend(size_bytes)
        return True

    def admit_read(self, now_ms: int) -> bool:
        """Spend one GetRecords call, or return False: too many, or bytes in debt."""
        if self._read_bytes.level(now_ms) < 0 or not self._reads.covers(1, now_ms):
            return False
        self._reads.spend(1)
        return True

    def charge_read(self, size_bytes: int) -> None:
        """Spend what a GetRecords call returned.

        A response larger than a second's budget also forfeits what was saved up, so
        10 MiB block the shard for the five seconds that AWS documents.
        """
        if size_bytes > self._read_bytes.capacity:
            self._read_bytes.forfeit()
        self._read_bytes.spend(size_bytes)

    def admit_iterator(self, now_ms: int) -> bool:
        """Spend one GetShardIterator call, or return False."""
        if not self._iterators.covers(1, now_ms):
            return False
        self._iterators.spend(1)
        return True
