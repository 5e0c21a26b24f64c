"""The model that decides live: the registry's champion, else the one we bring along."""

from conf.errors import FixSetup
from conf.settings import ROOT
from models.card import Model
from models.registry import Champion, Registry

NAME = "trader"
CHALLENGER = "challenger"
BUNDLED = ROOT / "models" / "demo"
"""Written by ``python -m models demo --registry models/demo``."""
_ANOTHER = "Name another version: `python -m models models` lists them"


class Serving:
    """Follows promotions; a new model that is refused leaves the old one in place.

    The one that we bring along decides only where nobody was ever promoted: where the
    champions cannot be read, a stranger to this lake must not trade in their place.

    Args:
        root: Folder or URI of the registry.
    """

    def __init__(self, root: str) -> None:
        self._champion = Champion(Registry(root, NAME))
        self._bundled = Champion(Registry(str(BUNDLED), NAME))

    @property
    def model(self) -> Model | None:
        """The model that decides, None if there is none."""
        return self._champion.model or self._bundled.model

    def refresh(self) -> str | None:
        """Take the newest champion, and return why one was refused, if it was."""
        refused = self._champion.refresh()
        if refused is None and self._champion.model is None:
            return self._bundled.refresh()
        return refused


def find_version(root: str, version: str) -> Model:
    """Load a version from the registry, or from what we bring along.

    ``challenger`` is the newest one of the registry, if it was never champion.

    Raises:
        FixSetup: Neither has it, it is refused, or made for other inputs or bars.
    """
    if version == CHALLENGER:
        version = Registry(root, NAME).challenger() or version
    for registry in (Registry(root, NAME), Registry(str(BUNDLED), NAME)):
        if version in registry.versions():
            model = registry.load(version)
            if model.card.misfit is None:
                return model
            raise FixSetup(f"model {NAME} {version}", model.card.misfit, _ANOTHER)
    raise FixSetup(f"model {NAME} {version}", "there is none", _ANOTHER)


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
