"""The versions of a registry as lines that a person reads."""

from collections.abc import Iterator

from conf.errors import FixSetup
from models.card import Card
from models.registry import Registry

_PROMOTIONS = 5


def listing(registry: Registry) -> Iterator[str]:
    """Yield a line per version, oldest first, then the last promotions."""
    roles, challenger = registry.roles(), registry.challenger()
    held = {roles.champion: "champion", challenger: "challenger"}
    versions = registry.versions()
    for version in versions:
        yield f"{version}  {held.get(version, '-'):10}  {_told(registry, version)}"
    if not versions:
        yield "no version: `make train KEEP=1` adds one; the demo model serves"
    for promotion in roles.promotions[-_PROMOTIONS:]:
        when = f"{promotion.time:%Y-%m-%d %H:%M:%S}Z"
        yield f"{when}  {promotion.version}  {promotion.reason}"


def _told(registry: Registry, version: str) -> str:
    try:
        card = registry.load(version).card
    except FixSetup as error:
        return error.what
    known = (card.algorithm, card.symbol, card.label, card.misfit, _evidence(card))
    return ", ".join(told for told in known if told)


def _evidence(card: Card) -> str:
    told = card.evidence
    if not told:
        return "not evaluated"
    names = [name for name in ("seeds", "folds", "side_cost_bps") if name in told]
    figures = ", ".join(f"{name} {told[name]}" for name in names)
    return f"{told.get('verdict', 'no verdict')} ({figures})"
