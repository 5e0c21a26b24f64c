"""Versions of models on the lake's storage, and which of them decides.

A version is a folder: weights as npz, a JSON card, and a manifest with the SHA-256 of
both, written last. It is never changed. ``roles.json`` names champion and challenger
and is the one file that moves.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from conf.errors import FixSetup
from models.calibration import Calibration
from models.card import Card, Model, failed_rules
from models.checkpoints import Checkpoints
from models.scoring import Network
from models.store import Store
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
_TAKE_ANOTHER = "Train it again, or name another version"


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sha256: str
    bytes: int


class _Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    weights: _File
    card: _File


class Promotion(msgspec.Struct, frozen=True):
    """Who became champion, when and why."""

    version: str
    time: datetime
    reason: str


class Roles(msgspec.Struct, frozen=True):
    """Which versions serve; the newest promotion is the champion's."""

    challenger: str | None = None
    promotions: list[Promotion] = []

    @property
    def champion(self) -> str | None:
        """Version that decides."""
        return self.promotions[-1].version if self.promotions else None


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
        folder = f"versions/{version}"
        try:
            said = self._store.read(f"{folder}/manifest.json", _MOST_JSON_BYTES)
            manifest = msgspec.json.decode(said, type=_Manifest)
            weights = self._checked(f"{folder}/weights.npz", manifest.weights)
            described = self._checked(f"{folder}/card.json", manifest.card)
            card = msgspec.json.decode(described, type=Card)
            arrays = unpacked(weights)
            if card.name != self._name:
                raise Unacceptable(f"its card is {card.name!r}'s")
            if not 0 < len(card.seeds) <= _MOST_SEEDS:
                raise Unacceptable(f"{len(card.seeds)} seeds")
            networks = networks_of(
                arrays, card.head, card.activation, len(card.inputs), len(card.seeds)
            )
            calibration = _calibration(card, arrays)
        except (Unacceptable, msgspec.DecodeError, OSError) as error:
            raise FixSetup(
                f"model {self._name} {version}", f"refused: {error}", _TAKE_ANOTHER
            ) from error
        return Model(version, _sha256(said), card, networks, calibration)

    def roles(self) -> Roles:
        """Return who serves; nobody where nothing was promoted."""
        if not self._store.has("roles.json"):
            return Roles()
        said = self._store.read("roles.json", _MOST_JSON_BYTES)
        return msgspec.json.decode(said, type=Roles)

    def challenge(self, version: str) -> None:
        """Let a version decide beside the champion, without effect."""
        self.load(version)
        self._assign(Roles(version, self.roles().promotions))

    def promote(self, version: str, time: datetime) -> None:
        """Make a version champion.

        Raises:
            FixSetup: A rule of the gate does not hold, or the version is refused.
        """
        roles = self.roles()
        candidate = self.load(version).card
        champion = self.load(roles.champion).card if roles.champion else None
        failed = failed_rules(candidate, champion)
        if failed:
            raise FixSetup(
                f"model {self._name} {version}",
                f"not promoted: {'; '.join(failed)}",
                "The champion goes on. Look at the evidence of its card",
            )
        self._take_over(roles, Promotion(version, time, "passed the gate"))

    def roll_back(self, time: datetime, reason: str) -> str:
        """Make the champion before this one champion again, and return it.

        Raises:
            FixSetup: There was none before, or it is refused.
        """
        roles = self.roles()
        former = [p.version for p in roles.promotions if p.version != roles.champion]
        if not former:
            raise FixSetup(
                f"model {self._name}", "no champion before this one", _TAKE_ANOTHER
            )
        self.load(former[-1])
        self._take_over(roles, Promotion(former[-1], time, f"rolled back: {reason}"))
        return former[-1]

    def _take_over(self, roles: Roles, promotion: Promotion) -> None:
        challenger = None if roles.challenger == promotion.version else roles.challenger
        self._assign(Roles(challenger, [*roles.promotions, promotion]))

    def _assign(self, roles: Roles) -> None:
        self._store.write("roles.json", msgspec.json.encode(roles))

    def _checked(self, path: str, expected: _File) -> bytes:
        data = self._store.read(path, MOST_BYTES)
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

        A refused version changes nothing: the model that was there goes on.
        """
        try:
            version = self._registry.roles().champion
            if version and (self.model is None or self.model.version != version):
                self.model = self._registry.load(version)
        except (FixSetup, msgspec.DecodeError, OSError) as error:
            return str(error)
        return None


def _calibration(card: Card, arrays: dict[str, Any]) -> Calibration:
    edges, chances = (
        arrays.get(f"calibration.{name}") for name in ("edges", "chances")
    )
    if edges is None or chances is None or len(chances) != len(edges) + 1:
        raise Unacceptable("its calibration has the wrong shape")
    if chances.min() < 0 or chances.max() > 1:
        raise Unacceptable("its calibration holds no probabilities")
    return Calibration(edges, chances, card.calibrated_on, card.horizon)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
