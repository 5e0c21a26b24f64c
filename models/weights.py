"""Networks as npz: written plainly, read as what a stranger sent.

No pickle is ever read. A file says how large it is in three places (zip, npy header,
shape); all must agree, and be small, before a number is looked at.
"""

import io
import math
import re
import zipfile
from collections.abc import Mapping, Sequence

import numpy as np

from models.scoring import ACTIONS, Activation, Head, Layers, Network
from models.tape import Floats

MOST_BYTES = 16 * 1024 * 1024
MOST_WEIGHT = 1e12
"""No number of a file is further from 0: ten layers of such cannot overflow."""

_MOST_ARRAYS = 4_096
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_NAME = re.compile(r"(seed\d{1,3}\.(actor|critic)\.(weight|bias)\d|calibration\.\w+)")
_MAGIC = b"\x93NUMPY\x01\x00"
# What numpy writes for a vector or matrix. Its own reader parses the header as Python
# text, which a stranger's text can exhaust.
_HEADER = re.compile(
    rb"\{'descr': '([^']{1,16})', 'fortran_order': (True|False), "
    rb"'shape': \((\d{1,10}), ?(\d{1,10})?\),? ?\} *\n"
)
_FLOATS, _OBJECTS = b"<f8", b"|O"


class Unacceptable(ValueError):
    """A file of weights is not what it must be; the message says how."""


def packed(arrays: Mapping[str, Floats]) -> bytes:
    """Return arrays as the bytes of an npz; the same arrays give the same bytes."""
    written = io.BytesIO()
    rows = {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
    np.savez(written, allow_pickle=False, **rows)
    return written.getvalue()


def unpacked(data: bytes) -> dict[str, Floats]:
    """Return the arrays of an npz that may come from anyone.

    Raises:
        Unacceptable: It is no plain npz of finite float64 arrays, or is too large.
    """
    if len(data) > MOST_BYTES:
        raise Unacceptable(f"{len(data)} bytes are more than {MOST_BYTES}")
    try:
        return _unpacked(data)
    except Unacceptable:
        raise
    except Exception as error:  # whatever zipfile raises: the bytes are a stranger's
        raise Unacceptable(f"not a readable npz: {error}") from error


def _unpacked(data: bytes) -> dict[str, Floats]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if len(members) > _MOST_ARRAYS:
            raise Unacceptable(f"{len(members)} arrays are more than any network's")
        if sum(member.file_size for member in members) > MOST_BYTES:
            raise Unacceptable("it unpacks to more than it may: a zip bomb")
        return {_name_of(member): _array(archive, member) for member in members}


def _name_of(member: zipfile.ZipInfo) -> str:
    name = member.filename.removesuffix(".npy")
    if name == member.filename or not _NAME.fullmatch(name):
        raise Unacceptable(f"{member.filename!r} is no array of a network")
    if member.compress_type not in _COMPRESSIONS:
        raise Unacceptable(f"{member.filename}: neither stored nor deflated")
    return name


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Floats:
    with archive.open(member) as stream:
        content = stream.read(member.file_size)
    shape, body = _shape_and_body(member.filename, content)
    if len(body) != 8 * math.prod(shape):
        raise Unacceptable(f"{member.filename}: {len(body)} bytes are not {shape}")
    array = np.frombuffer(body, "<f8").reshape(shape).astype(np.float64)
    if not (np.abs(array) <= MOST_WEIGHT).all():
        raise Unacceptable(
            f"{member.filename}: a number is NaN or infinite, or beyond {MOST_WEIGHT:g}"
        )
    return array


def _shape_and_body(name: str, content: bytes) -> tuple[tuple[int, ...], bytes]:
    begin = len(_MAGIC) + 2
    stop = begin + int.from_bytes(content[begin - 2 : begin], "little")
    header = _HEADER.fullmatch(content[begin:stop])
    if not content.startswith(_MAGIC) or header is None:
        raise Unacceptable(f"{name}: no npy array of a vector or matrix")
    kind, is_fortran, *sizes = header.groups()
    if kind == _OBJECTS:
        raise Unacceptable(f"{name}: holds pickled objects")
    if kind != _FLOATS or is_fortran == b"True":
        order = "columns" if is_fortran == b"True" else "rows"
        raise Unacceptable(f"{name}: not a float64 matrix but {kind!r}, {order} first")
    return tuple(int(size) for size in sizes if size is not None), content[stop:]


def arrays_of(networks: Sequence[Network]) -> dict[str, Floats]:
    """Return the arrays of one network per seed, by their names in the file."""
    arrays: dict[str, Floats] = {}
    for seed, network in enumerate(networks):
        parts = {"actor": network.actor, "critic": network.critic}
        for part, layers in parts.items():
            if layers is not None:
                for place, weight in enumerate(layers.weights):
                    arrays[f"seed{seed}.{part}.weight{place}"] = weight
                    arrays[f"seed{seed}.{part}.bias{place}"] = layers.biases[place]
    return arrays


def networks_of(
    arrays: Mapping[str, Floats],
    head: Head,
    activation: Activation,
    inputs: int,
    seeds: int,
) -> tuple[Network, ...]:
    """Return the networks of a file, one per seed.

    Raises:
        Unacceptable: An array is missing, or its shape does not fit its neighbours.
    """
    made = []
    for seed in range(seeds):
        actor = _layers(arrays, f"seed{seed}.actor", inputs)
        critic = None
        if head == "policy":
            critic = _layers(arrays, f"seed{seed}.critic", inputs)
            _require_outputs(critic, f"seed{seed}.critic", 1)
        if head != "quantiles":
            _require_outputs(actor, f"seed{seed}.actor", ACTIONS)
        elif len(actor.biases[-1]) % ACTIONS:
            raise Unacceptable(f"seed{seed}.actor: quantiles of {ACTIONS} actions")
        made.append(Network(head, activation, actor, critic))
    return tuple(made)


def _layers(arrays: Mapping[str, Floats], part: str, inputs: int) -> Layers:
    weights: list[Floats] = []
    biases: list[Floats] = []
    width = inputs
    while (weight := arrays.get(f"{part}.weight{len(weights)}")) is not None:
        bias = arrays.get(f"{part}.bias{len(weights)}")
        fits = weight.ndim == 2 and len(weight) == width and weight.size > 0
        if not fits or bias is None or bias.shape != weight.shape[1:]:
            raise Unacceptable(f"{part}: layer {len(weights)} has the wrong shape")
        weights.append(weight)
        biases.append(bias)
        width = weight.shape[1]
    if not weights:
        raise Unacceptable(f"{part}: there is none")
    return Layers(tuple(weights), tuple(biases))


def _require_outputs(layers: Layers, part: str, outputs: int) -> None:
    if len(layers.biases[-1]) != outputs:
        raise Unacceptable(f"{part}: {len(layers.biases[-1])} outputs, not {outputs}")
