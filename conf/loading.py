"""From given values to a checked tree of settings, or to one sentence about why not."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from types import NoneType
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from conf.errors import FixSetup
from conf.sources import FOREIGN_NAMES, Given

Tree = TypeVar("Tree", bound=BaseModel)
_IN_OUR_WORDS = {"bool_parsing": "It must be true or false"}
_REFERENCE = "docs/reference/configuration.md lists every setting"


def fields(tree: type[BaseModel], prefix: str = "") -> dict[str, FieldInfo]:
    """Return every setting of a tree by its dotted key, in the tree's order."""
    leaves: dict[str, FieldInfo] = {}
    for name, field in tree.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(
            field.annotation, BaseModel
        ):
            leaves |= fields(field.annotation, f"{prefix}{name}.")
        else:
            leaves[prefix + name] = field
    return leaves


def checked(tree: type[Tree], given: Mapping[str, Given]) -> Tree:
    """Return the tree with the given values in the place of its defaults.

    Raises:
        FixSetup: A key is unknown or a value not allowed. Further problems are its
            notes. The value of a secret is never shown.
    """
    known = fields(tree)
    unknown = [_unknown(key, given[key], known) for key in given if key not in known]
    if unknown:
        raise _first_of(unknown)
    try:
        return tree.model_validate(_nested(given, known))
    except ValidationError as error:
        details = error.errors(include_url=False)
    # Raised outside the handler: pydantic's own error shows the values of secrets.
    wrong = {_key(detail) for detail in details}
    own = [d for d in details if not _follows(given.get(_key(d)), wrong)]
    raise _first_of([_refused(detail, given, known) for detail in own])


def _nested(
    given: Mapping[str, Given], known: Mapping[str, FieldInfo]
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, (value, field) in ((k, (given[k].value, known[k])) for k in given):
        *sections, name = key.split(".")
        place = values
        for section in sections:
            place = place.setdefault(section, {})
        # TOML and the environment have no null: an empty text stands for it.
        place[name] = None if value == "" and _may_be_none(field) else value
    return values


def _may_be_none(field: FieldInfo) -> bool:
    return NoneType in get_args(field.annotation)


def _unknown(key: str, value: Given, known: Collection[str]) -> FixSetup:
    nearest = get_close_matches(key, [*known, *FOREIGN_NAMES], n=1)
    hint = f"Did you mean {nearest[0]}?" if nearest else _REFERENCE
    return FixSetup(value.origin, f"there is no setting {key}", hint)


def _key(detail: ErrorDetails) -> str:
    return ".".join(part for part in detail["loc"] if isinstance(part, str))


def _follows(value: Given | None, wrong: Collection[str]) -> bool:
    """Tell whether a value was implied by another that is wrong itself."""
    return value is not None and value.origin.partition(":")[0] in wrong


def _refused(
    detail: ErrorDetails, given: Mapping[str, Given], known: Mapping[str, FieldInfo]
) -> FixSetup:
    key = _key(detail)
    origin = given[key].origin if key in given else "default"
    field = known.get(key)
    is_secret = field is not None and field.annotation is SecretStr
    shown = "***" if is_secret else repr(detail["input"])
    told = _IN_OUR_WORDS.get(detail["type"], detail["msg"])
    reason = told.replace("Input should", "It must")
    reason = reason.removeprefix("Value error, ")
    about = f" ({field.description})" if field is not None else ""
    return FixSetup(
        f"{key} ({origin})",
        f"{shown} is not allowed",
        f"{reason[0].upper()}{reason[1:]}{about}",
    )


def _first_of(problems: list[FixSetup]) -> FixSetup:
    first, *others = problems
    for other in others:
        first.add_note(str(other))
    return first
