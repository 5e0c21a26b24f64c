"""Replay a signal: derive it again from the tables as they were known then.

A signal names what it read: the revision of the features and of the bar, the model's
hash, its market clock. Facts get later revisions and are never rewritten, so all of it
is still there, whatever was corrected, compacted or removed since.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.errors import FixSetup
from conf.lake.tables import SIGNALS
from conf.market.sessions import load_sessions
from models.card import Model
from models.decisions import IS_FOLLOWED, Row
from models.fills import nanoseconds
from models.lake_rows import LakeRows, on_days, values_of
from models.observation import displayed
from models.paper import Paper, Standing, accounts_of
from models.serving import find_version


@dataclass(frozen=True)
class Replayed:
    """A signal as it is stored and as it was derived again.

    Attributes:
        signal_id: Which.
        stored_sha256: Of the stored row's bytes.
        derived_sha256: Of the bytes of the row derived again.
        differences: Columns that differ: what is stored, what was derived.
        seen: What was decided on, in the units that people read: see ``DISPLAYED``.
    """

    signal_id: str
    stored_sha256: str
    derived_sha256: str
    differences: dict[str, tuple[Any, Any]]
    seen: dict[str, float]

    @property
    def is_identical(self) -> bool:
        """Whether every byte is the same."""
        return self.stored_sha256 == self.derived_sha256


class Replay:
    """Replays signals of one lake.

    Args:
        root: The lake.
        registry: Folder or URI of the models.
    """

    def __init__(self, root: str, registry: str) -> None:
        self._rows, self._registry = LakeRows(root), registry
        self._models: dict[str, Model] = {}

    def replay(self, signal_id: str) -> Replayed:
        """Derive a signal again.

        Raises:
            FixSetup: There is no such signal, its model is gone or another, or what it
                read is gone.
        """
        stored = self._stored(signal_id)
        features = self._features(stored)
        derived = self._derived(stored, features)
        return Replayed(
            signal_id,
            _sha256(stored),
            _sha256(derived),
            {
                name: (stored[name], derived[name])
                for name in SIGNALS.column_names
                if stored[name] != derived[name]
            },
            displayed(values_of(features), 0, accounts_of([stored])),
        )

    def sample(self, count: int, seed: int, *, decided: bool = False) -> list[str]:
        """Return the ids of some random signals, at most ``count``.

        Args:
            count: How many.
            seed: Of the choice.
            decided: Only of those with an action.
        """
        where = pc.field("action").is_valid() if decided else pc.scalar(True)
        ids = self._rows.find(SIGNALS, ("signal_id",), where)["signal_id"]
        chosen = np.random.default_rng(seed).permutation(len(ids))[:count]
        return [str(name) for name in ids.sort().take(pa.array(chosen)).to_pylist()]

    def _stored(self, signal_id: str) -> Row:
        parts = signal_id.split("/")
        try:
            symbol, written, version = parts
            start = datetime.strptime(written, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError as error:
            raise FixSetup(
                signal_id, "is no id of a signal", "<symbol>/<window_start>/<version>"
            ) from error
        where = on_days(start.date(), start.date())
        where &= pc.field("window_start") == start
        of = {"symbol": [symbol], "model_version": [version]}
        found = self._rows.find(SIGNALS, SIGNALS.column_names, where, of).to_pylist()
        if not found:
            raise FixSetup(signal_id, "is not in gold.signals", "Name another signal")
        return dict(found[0])

    def _features(self, stored: Row) -> pa.Table:
        """Return the one row of features that a signal was decided on."""
        start, symbol = stored["window_start"], stored["symbol"]
        features = self._rows.first_known(
            on_days(start.date(), start.date())
            & (pc.field("window_start") == start)
            & (pc.field("known_time") <= stored["known_time"]),
            {"symbol": [symbol]},
        )
        if not features.num_rows:
            raise FixSetup(
                stored["signal_id"], "its features are gone", "Restore the lake"
            )
        return features

    def _derived(self, stored: Row, features: pa.Table) -> Row:
        symbol, known_ns = stored["symbol"], nanoseconds(stored["known_time"])
        standings = {row["symbol"]: _standing(row) for row in self._before(stored)}
        told = Paper(self._model(stored), standings).take(
            features,
            known_ns,
            self._rows.halted([symbol], known_ns),
            self._rows.quotes_around,
        )
        if not told.signals:
            raise FixSetup(
                stored["signal_id"], "is of loaded history", "Another version wrote it"
            )
        return told.signals[0]

    def _before(self, stored: Row) -> Iterator[Row]:
        """Yield the newest signal that the account followed at that time, if any."""
        of = {name: [stored[name]] for name in ("symbol", "model_version")}
        before = (pc.field("known_time") <= stored["known_time"]) & (
            pc.field("window_start") != stored["window_start"]
        )
        keys = self._rows.find(SIGNALS, ("window_start", "reason"), before, of)
        newest = pc.max(keys.filter(IS_FOLLOWED)["window_start"]).as_py()
        if newest is not None:
            at = on_days(newest.date(), newest.date())
            at &= pc.field("window_start") == newest
            yield from self._rows.find(
                SIGNALS, SIGNALS.column_names, at, of
            ).to_pylist()

    def _model(self, stored: Row) -> Model:
        version = stored["model_version"]
        if version not in self._models:
            self._models[version] = find_version(self._registry, version)
        model = self._models[version]
        if model.sha256 != stored["model_sha256"]:
            raise FixSetup(
                f"model {version}", "is not the one that decided", "Restore it"
            )
        return model


def _standing(signal: Row) -> Standing:
    (session,) = load_sessions().at([nanoseconds(signal["window_start"])]).tolist()
    return Standing(signal, None, session)


def _sha256(row: Row) -> str:
    """Return the hash of a row's bytes, in Arrow's form."""
    table = pa.Table.from_pylist([row], schema=SIGNALS.schema)
    written = pa.BufferOutputStream()
    with pa.ipc.new_stream(written, table.schema) as stream:
        stream.write_table(table)
    return hashlib.sha256(written.getvalue()).hexdigest()
