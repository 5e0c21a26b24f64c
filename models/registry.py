"""Versions of models on the lake's storage, and which of them decides.

A version is a folder: weights as npz, a JSON card, and a manifest with the SHA-256 of
both, written last. It is never changed. ``roles.json`` names the promotions and is the
one file that moves.

All of it may come from a stranger: whatever reading it raises is a refusal.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

import msgspec
import numpy as np

from conf.errors import FixSetup
from models.account import Costs
from models.calibration import Calibration
from models.card import Card, Model, failed_rules
from models.checkpoints import Checkpoints
from models.scoring import ACTIONS, Network, score
from models.store import Store
from models.tape import Floats
from models.weights import (
    MOST_BYTES,
    Unacceptable,
    arrays_of,
    networks_of,
    packed,
    unpacked,
)

_MOST_SEEDS = 64
_MOST_JSON_BYTES = 1024 * 1024
_MOST_CHARACTERS = 300
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TAKE_ANOTHER = "Train it again, or name another version"


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sha256: str
    bytes: int


class _Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    weights: _File
    card: _File


class Promotion(msgspec.Struct, frozen=True):
    """Who became champion, when and why; ``is_roll_back``: the one before lost."""

    version: str
    time: datetime
    reason: str
    is_roll_back: bool = False


class Roles(msgspec.Struct, frozen=True):
    """Which versions serve; the newest promotion is the champion's."""

    promotions: list[Promotion] = []

    @property
    def champion(self) -> str | None:
        """Version that decides."""
        return self.promotions[-1].version if self.promotions else None

    @property
    def line(self) -> list[str]:
        """Champions that were not rejected, the newest first; each once."""
        line: dict[str, None] = {}
        for promotion in self.promotions:
            if promotion.is_roll_back:
                while line and next(reversed(line)) != promotion.version:
                    line.popitem()
            line.pop(promotion.version, None)
            line[promotion.version] = None
        return list(reversed(line))


class Registry:
    """The versions of one model.

    Args:
        root: Folder or URI (``s3://bucket/path``) of all models.
        name: Of the model.
    """

    def __init__(self, root: str, name: str) -> None:
        self._name = name
        self._store = Store(root, name)

    def add(
        self,
        card: Card,
        networks: Sequence[Network],
        calibration: Calibration,
        made: datetime,
    ) -> str:
        """Write a version and return its name; ``made`` is part of it."""
        arrays = arrays_of(networks) | {
            "calibration.edges": calibration.edges,
            "calibration.chances": calibration.chances,
        }
        weights, described = packed(arrays), msgspec.json.encode(card)
        version = f"{made:%Y%m%dT%H%M%S}-{_sha256(weights)[:12]}"
        manifest = _Manifest(
            _File(_sha256(weights), len(weights)),
            _File(_sha256(described), len(described)),
        )
        self._store.write(f"versions/{version}/weights.npz", weights)
        self._store.write(f"versions/{version}/card.json", described)
        self._store.write(
            f"versions/{version}/manifest.json", msgspec.json.encode(manifest)
        )
        return version

    def versions(self) -> list[str]:
        """Return the complete versions, oldest first."""
        found = self._store.paths("versions")
        return [p.split("/")[0] for p in found if p.endswith("/manifest.json")]

    def checkpoints(self, key: str) -> Checkpoints:
        """Return the agents of a version in the making."""
        return Checkpoints(self._store, key)

    def load(self, version: str) -> Model:
        """Return a version, checked byte by byte; nothing in it is executed.

        Raises:
            FixSetup: It is not there, was changed, or is no model; says why.
        """
        with _refusing(f"model {self._name} {version[:_MOST_CHARACTERS]}"):
            if not _VERSION.fullmatch(version):
                raise Unacceptable("this is no name of a version")
            return self._loaded(version)

    def first_that_can(
        self, versions: Sequence[str]
    ) -> tuple[Model | None, str | None]:
        """Return the first of some versions that can decide, and why one cannot."""
        refused = None
        for version in versions:
            try:
                model = self.load(version)
            except FixSetup as error:
                refused = refused or str(error)
                continue
            if not model.card.misfit:
                return model, refused
            misfit = f"model {self._name} {version}: {model.card.misfit}"
            refused = refused or misfit
        return None, refused

    def roles(self) -> Roles:
        """Return who serves; nobody where nothing was promoted.

        Raises:
            FixSetup: ``roles.json`` cannot be read.
        """
        with _refusing(f"model {self._name} roles.json"):
            if not self._store.has("roles.json"):
                return Roles()
            said = self._store.read("roles.json", _MOST_JSON_BYTES)
            return msgspec.json.decode(said, type=Roles)

    def challenger(self) -> str | None:
        """Return the newest version that was never champion, if it is the newest one.

        It decides nothing: it waits for a ``promote``, or for a better one.
        """
        newest = self.versions()[-1:]
        promoted = {promotion.version for promotion in self.roles().promotions}
        return next((version for version in newest if version not in promoted), None)

    def promote(self, version: str, time: datetime) -> None:
        """Make a version champion.

        It is compared with the model that decides: of a champion that cannot be loaded
        nothing is known, so the one before it counts, or none. The reason says so.

        Raises:
            FixSetup: A rule of the gate does not hold, or the version is refused.
        """
        roles = self.roles()
        candidate = self.load(version).card
        champion, refused = self.first_that_can(roles.line)
        failed = failed_rules(candidate, champion.card if champion else None)
        if failed:
            raise FixSetup(
                f"model {self._name} {version}",
                f"not promoted: {'; '.join(failed)}",
                "The champion goes on. Look at the evidence of its card",
            )
        reason = "passed the gate"
        if refused:
            reason += f" without the champion before ({refused})"
        self._take_over(roles, Promotion(version, time, reason))

    def roll_back(self, time: datetime, reason: str) -> str:
        """Make the champion before this one champion again, and return it.

        One that was rolled back does not come again, nor one that is refused.

        Raises:
            FixSetup: There was none before, or all are refused.
        """
        roles = self.roles()
        former, refused = self.first_that_can(roles.line[1:])
        if former is None:
            raise FixSetup(
                f"model {self._name}",
                refused or "no champion before this one",
                _TAKE_ANOTHER,
            )
        told = f"rolled back: {reason}"
        self._take_over(roles, Promotion(former.version, time, told, is_roll_back=True))
        return former.version

    def _take_over(self, roles: Roles, promotion: Promotion) -> None:
        moved = Roles([*roles.promotions, promotion])
        self._store.write("roles.json", msgspec.json.encode(moved))

    def _loaded(self, version: str) -> Model:
        folder = f"versions/{version}"
        said = self._store.read(f"{folder}/manifest.json", _MOST_JSON_BYTES)
        manifest = msgspec.json.decode(said, type=_Manifest)
        described = self._checked(
            f"{folder}/card.json", manifest.card, _MOST_JSON_BYTES
        )
        card = msgspec.json.decode(described, type=Card)
        if card.name != self._name:
            raise Unacceptable(f"its card is {card.name!r}'s")
        if not 0 < len(card.seeds) <= _MOST_SEEDS:
            raise Unacceptable(f"{len(card.seeds)} seeds")
        arrays = unpacked(
            self._checked(f"{folder}/weights.npz", manifest.weights, MOST_BYTES)
        )
        networks = networks_of(
            arrays, card.head, card.activation, len(card.inputs), len(card.seeds)
        )
        calibration = _calibration(card, arrays)
        model = Model(version, _sha256(said), card, networks, calibration)
        _try(model)
        return model

    def _checked(self, path: str, expected: _File, most_bytes: int) -> bytes:
        data = self._store.read(path, most_bytes)
        if len(data) != expected.bytes or _sha256(data) != expected.sha256:
            raise Unacceptable(f"{path.rpartition('/')[2]} is not the manifest's")
        return data


class Champion:
    """The model that decides; follows promotions, and outlives a bad one.

    Args:
        registry: Where it comes from.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.model: Model | None = None

    def refresh(self) -> str | None:
        """Take the newest champion, and return why it was refused, if it was.

        A refused version changes nothing: the model that was there goes on. Where none
        is there yet, the champion before it decides, as it did before the restart.
        """
        try:
            roles = self._registry.roles()
        except FixSetup as error:
            return str(error)
        line = roles.line
        if not line or (self.model and self.model.version == line[0]):
            return None
        model, refused = self._registry.first_that_can(line[:1] if self.model else line)
        self.model = model or self.model
        return refused


@contextmanager
def _refusing(where: str) -> Iterator[None]:
    """Make a refusal, with its reason, of whatever reading a stranger's file raises."""
    try:
        yield
    except Exception as error:
        told = str(error) or type(error).__name__
        raise FixSetup(
            where, f"refused: {told[:_MOST_CHARACTERS]}", _TAKE_ANOTHER
        ) from error


def _calibration(card: Card, arrays: Mapping[str, Floats]) -> Calibration:
    edges, chances = (
        arrays.get(f"calibration.{name}", np.empty((0, 0)))
        for name in ("edges", "chances")
    )
    if edges.ndim != 1 or chances.ndim != 1 or len(chances) != len(edges) + 1:
        raise Unacceptable("its calibration has the wrong shape")
    if (np.diff(edges) < 0).any():
        raise Unacceptable("the edges of its calibration descend")
    if chances.min() < 0 or chances.max() > 1 or (np.diff(chances) < 0).any():
        raise Unacceptable("its calibration holds no probabilities that ascend")
    return Calibration(edges, chances, card.calibrated_on, card.horizon)


def _try(model: Model) -> None:
    """Decide and trade once, so that a model breaks here or not at all.

    Raises:
        Unacceptable: Something that it says is no number, or its costs are none.
    """
    row, mask = np.zeros((1, len(model.card.inputs))), np.ones((1, ACTIONS), np.bool_)
    for network in model.networks:
        scores = score(network, row, mask)
        told = [scores.by_action.ravel(), scores.value, scores.margin]
        if not np.isfinite(np.concatenate(told)).all():
            raise Unacceptable("what it decides by is no number")
    costs, middle = Costs(**model.card.costs), np.full(1, 100.0)
    with np.errstate(all="ignore"):
        bought, sold = costs.buy_price(middle, middle), costs.sell_price(middle, middle)
    if not 0 < sold[0] <= bought[0] < np.inf:
        raise Unacceptable(f"its costs make a price of {bought[0]} or {sold[0]}")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
