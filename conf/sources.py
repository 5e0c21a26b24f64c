"""Where settings come from, and what each place is called.

Strongest first: flags, environment, ``.env``, ``conf/<profile>.toml``. Each place
becomes a layer of dotted keys (``kinesis.shards``) whose values are not yet judged:
the tree in ``conf/settings.py`` knows which keys there are and what is allowed.
"""

import os
import tomllib
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource

from conf.errors import FixSetup

PREFIX = "TICKHOUSE_"
NO_SETTINGS = frozenset({"TICKHOUSE_DATA"})
"""Names with our prefix that are none: where tests and evidence find recordings."""
DEFAULT_PROFILE = "local"

CREDENTIALS = {
    "alpaca.api_key": ("APCA_API_KEY_ID", "ALPACA_API_KEY"),
    "alpaca.secret_key": ("APCA_API_SECRET_KEY", "ALPACA_SECRET_KEY"),
}
"""Setting -> Alpaca's own names for it; of two that are given, the later one wins."""
FOREIGN_NAMES = frozenset(name for names in CREDENTIALS.values() for name in names)

CHANNELS = tuple(
    f"alpaca.{channel}"
    for channel in ("trades", "quotes", "bars", "updated_bars", "statuses", "lulds")
)
"""The channels that have the chosen symbols when nobody says otherwise."""

FLAGS = {
    "profile": ("profile",),
    "rate": ("simulator.rate_per_s",),
    "symbols": ("simulator.symbols", *CHANNELS),
    "feed": ("alpaca.feed",),
    "replay": ("simulator.replay",),
    "speed": ("simulator.speed",),
    "engine": ("lake.engine",),
    "port": ("api.port",),
}
"""Flag of the command line -> the settings it sets."""


@dataclass(frozen=True)
class Given:
    """A value as somebody wrote it, and where."""

    value: object
    origin: str


Layer = dict[str, Given]


def read(flags: Mapping[str, object], root: Path) -> ChainMap[str, Given]:
    """Return every given value by its dotted key; the strongest place wins.

    ``AWS_…`` lines of ``.env`` are handed to the environment, where boto3 looks.

    Args:
        flags: By the names of ``FLAGS``, or dotted keys with ``__``; None: not given.
        root: The checkout, which holds ``.env`` and ``conf/``.

    Raises:
        FixSetup: There is no such profile, or its file is not TOML.
    """
    dotenv = DotEnvSettingsSource(BaseSettings, env_file=root / ".env").env_vars
    written = {name.upper(): text or "" for name, text in dotenv.items()}
    for name in filter(_is_aws, written):
        os.environ.setdefault(name, written[name])
    environment = EnvSettingsSource(BaseSettings).env_vars
    exported = {name.upper(): text or "" for name, text in environment.items()}
    layers = ChainMap(
        _from_flags(flags),
        _from_variables(exported, "environment variable"),
        _from_variables(written, ".env,") | _foreign(written, ".env,"),
    )
    profile = layers.get("profile", Given(DEFAULT_PROFILE, "default"))
    layers.maps.append(_from_toml(profile, root / "conf"))
    layers.maps.append(_implied(layers))
    return layers


def _implied(given: Mapping[str, Given]) -> Layer:
    """Choose what follows from other choices."""
    return {
        **_implied_symbols(given),
        **_implied_places(given),
        **_implied_updates(given),
    }


def _implied_places(given: Mapping[str, Given]) -> Layer:
    """Keep the tables and their checkpoints beside the stream that they come from."""
    if "var" not in given:
        return {}
    var = given["var"].value
    return {
        f"lake.{name}": Given(f"{var}/{folder}", "var: everything a local run writes")
        for name, folder in (("root", "lake"), ("checkpoints", "checkpoints"))
    }


def _implied_updates(given: Mapping[str, Given]) -> Layer:
    """Listen to what becomes of our orders."""
    if "orders.enabled" not in given:
        return {}
    value = given["orders.enabled"].value
    why = "orders.enabled: what becomes of them"
    return {"alpaca.trade_updates": Given(value, why)}


def _implied_symbols(given: Mapping[str, Given]) -> Layer:
    """Choose the symbols where the feed leaves no choice but does not have ours."""
    feed = given.get("alpaca.feed", Given("iex", "default"))
    if "simulator.replay" in given:
        symbols = Given("*", "simulator.replay: all that the recording has")
    elif feed.value == "test":
        symbols = Given("FAKEPACA", "alpaca.feed: the only symbol of test")
    else:
        return {}
    return dict.fromkeys(CHANNELS, symbols)


def _from_flags(flags: Mapping[str, object]) -> Layer:
    layer: Layer = {}
    for name, value in flags.items():
        if value is None:
            continue
        for key in FLAGS.get(name, (name.replace("__", "."),)):
            layer[key] = Given(value, f"flag --{name.replace('_', '-')}")
    return layer


def _from_variables(variables: Mapping[str, str], place: str) -> Layer:
    named = {
        key: name
        for key, names in CREDENTIALS.items()
        for name in names
        if variables.get(name)
    }
    named |= {
        name.removeprefix(PREFIX).lower().replace("__", "."): name
        for name in variables
        if name.startswith(PREFIX) and name not in NO_SETTINGS
    }
    return {
        key: Given(variables[name], f"{place} {name}") for key, name in named.items()
    }


def _foreign(variables: Mapping[str, str], place: str) -> Layer:
    """Lines of ``.env`` that mean nothing to us: kept, so that they are refused."""
    return {
        name: Given(text, f"{place} {name}")
        for name, text in variables.items()
        if name not in FOREIGN_NAMES
        and not name.startswith(PREFIX)
        and not _is_aws(name)
    }


def _is_aws(name: str) -> bool:
    return name.startswith("AWS_")


def _from_toml(profile: Given, folder: Path) -> Layer:
    path = folder / f"{profile.value}.toml"
    profiles = sorted(found.stem for found in folder.glob("*.toml"))
    if profile.value not in profiles:
        raise FixSetup(
            f"profile ({profile.origin})",
            f"{profile.value!r} is no profile",
            f"Choose one of {', '.join(profiles)}",
        )
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise FixSetup(f"conf/{path.name}", "is not TOML", str(error)) from error
    return {key: Given(value, f"conf/{path.name}") for key, value in _flattened(tree)}


def _flattened(
    tree: Mapping[str, object], prefix: str = ""
) -> list[tuple[str, object]]:
    pairs: list[tuple[str, object]] = []
    for name, value in tree.items():
        if isinstance(value, dict):
            pairs += _flattened(value, f"{prefix}{name}.")
        else:
            pairs.append((prefix + name, value))
    return pairs
