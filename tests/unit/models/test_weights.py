"""A file of weights from a stranger: read plainly, or refused with its reason."""

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.scoring import Layers, Network
from models.weights import (
    MOST_BYTES,
    Unacceptable,
    arrays_of,
    networks_of,
    packed,
    unpacked,
)


def network(seed: int = 0, inputs: int = 4) -> Network:
    rng = np.random.default_rng(seed)

    def layers(*sizes: int) -> Layers:
        weights = [rng.normal(size=(a, b)) for a, b in zip(sizes, sizes[1:])]  # noqa: B905, RUF007
        return Layers(tuple(weights), tuple(rng.normal(size=b) for b in sizes[1:]))

    return Network("policy", "tanh", layers(inputs, 8, 3), layers(inputs, 8, 1))


def npy(shape: str, body: bytes, kind: str = "<f8") -> bytes:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}"
    padded = header.ljust(117) + "\n"
    return (
        b"\x93NUMPY\x01\x00"
        + len(padded).to_bytes(2, "little")
        + (padded.encode() + body)
    )


def archive(members: dict[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return written.getvalue()


NAME = "seed0.actor.weight0.npy"


class Executes:
    """A pickle that leaves a trace when it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def object_array(trace: Path) -> bytes:
    written = io.BytesIO()
    array = np.array([Executes(trace)], dtype=object)
    np.lib.format.write_array(written, array, allow_pickle=True)
    return written.getvalue()


MALICIOUS: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "a pickle": (lambda trace: pickle.dumps(Executes(trace)), "not a readable npz"),
    "a pickled array": (
        lambda trace: archive({NAME: object_array(trace)}),
        "holds pickled objects",
    ),
    "a pickle beside": (
        lambda trace: archive({"data.pkl": pickle.dumps(Executes(trace))}),
        "no array of a network",
    ),
    "a path": (lambda _: archive({"../../seed0.npy": b""}), "no array of a network"),
    "NaN": (
        lambda _: packed({NAME.removesuffix(".npy"): np.array([[np.nan]])}),
        "NaN or infinite",
    ),
    "a zip bomb": (
        lambda _: archive({NAME: b"\0" * (MOST_BYTES + 1)}),
        "zip bomb",
    ),
    "a shape that lies": (
        lambda _: archive({NAME: npy("(1000000000, 1000000000)", b"\0" * 8)}),
        "are not",
    ),
    "a negative shape": (
        lambda _: archive({NAME: npy("(-1, -1)", b"\0" * 8)}),
        "no npy",
    ),
    "code in the header": (
        lambda _: archive({NAME: npy("__import__('os')", b"")}),
        "no npy array",
    ),
    "other numbers": (
        lambda _: archive({NAME: npy("(1, 1)", b"\0" * 4, "<f4")}),
        "not a float64 matrix",
    ),
    "nothing": (lambda _: b"", "not a readable npz"),
    "a torn file": (lambda _: packed(arrays_of([network()]))[:-40], "not a readable"),
    "too much": (lambda _: b"\0" * (MOST_BYTES + 1), "are more than"),
}


@pytest.mark.parametrize("kind", MALICIOUS)
def test_a_malicious_file_is_refused_and_nothing_runs(kind: str, tmp_path: Path):
    make, reason = MALICIOUS[kind]
    trace = tmp_path / "executed"
    with pytest.raises(Unacceptable, match=reason):
        unpacked(make(trace))
    assert not trace.exists()


def test_networks_come_back_to_the_bit():
    data = packed(arrays_of([network(1), network(2)]))
    assert data == packed(arrays_of([network(1), network(2)]))
    read = networks_of(unpacked(data), "policy", "tanh", 4, 2)
    for before, after in zip([network(1), network(2)], read, strict=True):
        for old, new in zip(before.actor.weights, after.actor.weights, strict=True):
            assert old.tobytes() == new.tobytes()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"seed0.actor.weight0": np.ones((5, 8))}, "wrong shape"),
        ({"seed0.actor.bias0": np.ones(7)}, "wrong shape"),
        ({"seed0.actor.weight1": np.ones((8, 2)), "seed0.actor.bias1": np.ones(2)},
         "2 outputs, not 3"),
        ({"seed0.actor.weight1": np.ones(8)}, "wrong shape"),
    ],
)  # fmt: skip
def test_arrays_that_are_no_network_are_refused(change, reason: str):
    arrays = arrays_of([network()]) | change
    with pytest.raises(Unacceptable, match=reason):
        networks_of(arrays, "policy", "tanh", 4, 1)


def test_a_missing_seed_is_refused():
    with pytest.raises(Unacceptable, match="seed1"):
        networks_of(arrays_of([network()]), "policy", "tanh", 4, 2)


def test_a_matrix_kept_column_by_column_is_written_row_by_row():
    weight = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    found = unpacked(packed({"seed0.actor.weight0": weight}))
    assert found["seed0.actor.weight0"].tolist() == weight.tolist()
