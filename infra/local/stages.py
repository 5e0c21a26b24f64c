"""What each stage of the flow does now, as its processes tell it."""

from collections import deque
from collections.abc import Iterator, Mapping

import msgspec

from conf.settings import Settings
from infra.local.services import (
    API,
    EMULATOR,
    LAKE,
    PRODUCER,
    SIMULATOR,
    get,
    has_emulator,
    has_simulator,
)
from infra.local.state import (
    LIVE,
    ApiStatus,
    LakeStatus,
    ProducerStatus,
    QueryStatus,
    StageStatus,
    read,
    run_folder,
)

LAYERS = ("bronze", "silver", "gold")
_RATE_OVER_S = 10.0
_SILENT_AFTER_S = 5.0


class Rate:
    """Growth per second of a total over the last ten seconds."""

    def __init__(self) -> None:
        self._readings: deque[tuple[float, int]] = deque()

    def add(self, now_s: float, total: int | None) -> float | None:
        """Return the rate up to this reading; None before the second one.

        A total that shrinks belongs to a new process: counting starts again.
        """
        readings = self._readings
        if total is None or (readings and total < readings[-1][1]):
            readings.clear()
        if total is None:
            return None
        readings.append((now_s, total))
        while readings[0][0] < now_s - _RATE_OVER_S:
            readings.popleft()
        seconds = now_s - readings[0][0]
        return (total - readings[0][1]) / seconds if seconds > 0 else None


class _Simulator(msgspec.Struct):
    """What is read of ``/sim/status``: messages sent, and whether the market ended."""

    emitted: int
    finished: bool


class _Emulator(msgspec.Struct):
    """What is read of ``/health``: records held."""

    records: int


class Observer:
    """Asks the processes, reads their state files and measures rates.

    Args:
        settings: Where they answer and write.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = run_folder(settings)
        self._rates: dict[str, Rate] = {}
        self.lake: LakeStatus | None = None
        self.url: str | None = None

    def observe(self, states: Mapping[str, str], now_s: float) -> list[StageStatus]:
        """Return the stages in the order of the flow.

        Args:
            states: What the supervisor knows of each process, by name.
            now_s: Unix time.
        """
        self.lake = read(self._folder / "lake.json", LakeStatus)
        return [
            self._feed(states, now_s),
            self._producer(states, now_s),
            self._kinesis(states, now_s),
            *self._layers(states, now_s),
            self._api(states),
        ]

    def gold_rows(self) -> int:
        """Return the rows of gold since the driver began, at the last observation."""
        gold = self.lake.queries.get("gold") if self.lake else None
        return gold.rows_total if gold else 0

    def _feed(self, states: Mapping[str, str], now_s: float) -> StageStatus:
        if not has_simulator(self._settings):
            return StageStatus("alpaca", "remote")
        body = self._ask(
            states, SIMULATOR, self._settings.simulator.port, "/sim/status"
        )
        if body is None:
            return StageStatus(SIMULATOR, states.get(SIMULATOR, ""))
        told = msgspec.json.decode(body, type=_Simulator)
        rate = self._rate(SIMULATOR, now_s, told.emitted)
        state = "finished" if told.finished else LIVE
        return StageStatus(SIMULATOR, state, rate, total=told.emitted)

    def _producer(self, states: Mapping[str, str], now_s: float) -> StageStatus:
        told = read(self._folder / "producer.json", ProducerStatus)
        state = states.get(PRODUCER, "")
        if told is None or state != LIVE:
            return StageStatus(PRODUCER, state)
        behind_s = None if told.behind_ms is None else told.behind_ms / 1000
        return StageStatus(
            PRODUCER,
            told.state,
            self._rate(PRODUCER, now_s, told.messages_total),
            lag_s=told.last_frame_age_s,
            latency_s=behind_s,
            total=told.messages_total,
        )

    def _kinesis(self, states: Mapping[str, str], now_s: float) -> StageStatus:
        if not has_emulator(self._settings):
            return StageStatus("kinesis", "remote")
        body = self._ask(states, EMULATOR, self._settings.emulator.port, "/health")
        if body is None:
            return StageStatus("kinesis", states.get(EMULATOR, ""))
        held = msgspec.json.decode(body, type=_Emulator).records
        return StageStatus(
            "kinesis", LIVE, self._rate(EMULATOR, now_s, held), total=held
        )

    def _layers(self, states: Mapping[str, str], now_s: float) -> Iterator[StageStatus]:
        state = states.get(LAKE, "")
        queries = self.lake.queries if self.lake else {}
        if self.lake and self.lake.updated and state == LIVE:
            silent_s = now_s - self.lake.updated
            state = f"silent {silent_s:.0f} s" if silent_s > _SILENT_AFTER_S else state
        for name in LAYERS:
            query = queries.get(name, QueryStatus())
            lag_s = None
            if query.newest_age_s is not None and query.finished is not None:
                lag_s = query.newest_age_s + now_s - query.finished
            yield StageStatus(
                name,
                state,
                self._rate(name, now_s, query.rows_total),
                lag_s=lag_s,
                latency_s=query.oldest_age_s,
                total=query.rows_total,
            )

    def _api(self, states: Mapping[str, str]) -> StageStatus:
        state = states.get(API, "")
        told = read(self._folder / "api.json", ApiStatus) if state == LIVE else None
        self.url = told.url if told else None
        return StageStatus(API, state)

    def _ask(
        self, states: Mapping[str, str], name: str, port: int, path: str
    ) -> bytes | None:
        return get(port, path) if states.get(name) == LIVE else None

    def _rate(self, name: str, now_s: float, total: int | None) -> float | None:
        return self._rates.setdefault(name, Rate()).add(now_s, total)
