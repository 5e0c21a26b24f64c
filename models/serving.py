"""The model that decides live: the registry's champion, else the one we bring along."""

from conf.errors import FixSetup
from conf.settings import ROOT
from models.card import Model
from models.observation import ACCOUNT_INPUTS, MARKET_INPUTS
from models.registry import Champion, Registry

NAME = "trader"
BUNDLED = ROOT / "models" / "demo"
"""Written by ``python -m models demo --registry models/demo``."""


class Serving:
    """Follows promotions; a new model that is refused leaves the old one in place.

    Args:
        root: Folder or URI of the registry.
    """

    def __init__(self, root: str) -> None:
        registries = [Registry(root, NAME), Registry(str(BUNDLED), NAME)]
        self._champions = [Champion(registry) for registry in registries]

    @property
    def model(self) -> Model | None:
        """The model that decides, None if there is none."""
        held = (champion.model for champion in self._champions)
        return next((model for model in held if model and _fits(model)), None)

    def refresh(self) -> str | None:
        """Take the newest champion, and return why one was refused, if it was."""
        refused = [champion.refresh() for champion in self._champions]
        misfits = (
            f"model {NAME} {champion.model.version}: made for other inputs"
            for champion in self._champions
            if champion.model and not _fits(champion.model)
        )
        return next((why for why in (*refused, *misfits) if why), None)


def find_version(root: str, version: str) -> Model:
    """Load a version from the registry, or from what we bring along.

    Raises:
        FixSetup: Neither has it, or it is refused.
    """
    for registry in (Registry(root, NAME), Registry(str(BUNDLED), NAME)):
        if version in registry.versions():
            return registry.load(version)
    raise FixSetup(f"model {NAME} {version}", "there is none", "Name another version")


def _fits(model: Model) -> bool:
    return model.card.inputs == [*MARKET_INPUTS, *ACCOUNT_INPUTS]


def champion_of(root: str) -> Model:
    """Return the model that would decide now.

    Raises:
        FixSetup: There is none.
    """
    serving = Serving(root)
    refused = serving.refresh()
    if serving.model is None:
        raise FixSetup(
            f"model {NAME}", refused or "there is none", "`python -m models demo`"
        )
    return serving.model
