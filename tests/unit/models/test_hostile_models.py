"""A hostile champion: refused with the reason, and the old one goes on."""

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from models.registry import Promotion, Registry, Roles, _File, _Manifest, _sha256
from models.serving import NAME, Serving
from models.weights import arrays_of
from tests.unit.models.test_registry import CALIBRATION, NOON, added, card
from tests.unit.models.test_weights import Executes, network, object_array

HOSTILE = "20260303T120000-hostile"
MEMBER = "seed0.actor.weight0.npy"
INPUTS = len(card().inputs)
NINES = b"9" * 5_000
DEEP = b"[" * 200_000 + b"]" * 200_000


def arrays(**changes) -> dict[str, np.ndarray]:
    whole = arrays_of([network(0, INPUTS)]) | {
        "calibration.edges": CALIBRATION.edges,
        "calibration.chances": CALIBRATION.chances,
    }
    return whole | {name.replace("__", "."): value for name, value in changes.items()}


def saved(**changes) -> bytes:
    written = io.BytesIO()
    np.savez(written, allow_pickle=False, **arrays(**changes))
    return written.getvalue()


def npy(header: bytes, body: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


def zipped(content: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", compression) as archive:
        archive.writestr(MEMBER, content)
    return written.getvalue()


def header(text: bytes, body: bytes = b"") -> bytes:
    return zipped(npy(text + b"\n", body))


def of_shape(shape: bytes, body: bytes = b"") -> bytes:
    text = b"{'descr': '<f8', 'fortran_order': False, 'shape': %s, }"
    return header(text % shape, body)


def broken(compression: int) -> bytes:
    data = bytearray(zipped(bytes(1_000), compression))
    begin = data.find(MEMBER.encode()) + len(MEMBER)
    data[begin : begin + 9] = b"\xff" * 9
    return bytes(data)


def named_in_no_utf8() -> bytes:
    data = bytearray(zipped(b"x"))
    directory = data.rfind(b"PK\x01\x02")
    data[directory + 8 : directory + 10] = struct.pack("<H", 0x800)
    name = data.rfind(b"seed0")
    data[name : name + 2] = b"\xff\xfe"
    return bytes(data)


def described(**changes) -> bytes:
    return msgspec.json.encode(card(**changes))


def raw(**changes) -> bytes:
    return json.dumps(msgspec.to_builtins(card()) | changes).encode()


NO_QUANTILES = {
    "seed0__actor__weight0": np.zeros((INPUTS, 0)),
    "seed0__actor__bias0": np.zeros(0),
}
NARROW = {"seed0__actor__weight1": np.zeros((8, 0)), "seed0__actor__bias1": np.zeros(0)}
HUGE = np.full((8, 3), 1e308)

WEIGHTS: dict[str, tuple[bytes, str]] = {
    "type of nothing": (
        header(b"{'descr': (), 'fortran_order': False, 'shape': (1,), }"),
        "no npy array",
    ),
    "dashes": (header(b"-" * 9_000 + b"1"), "no npy array"),
    "parentheses": (header(b"(" * 9_000), "no npy array"),
    "shape of truth": (of_shape(b"(True,1)", bytes(8)), "no npy array"),
    "shape without end": (of_shape(b"(0, %d)" % 10**23), "no npy array"),
    "shape of nothing": (of_shape(b"()", bytes(8)), "no npy array"),
    "broken LZMA": (broken(zipfile.ZIP_LZMA), "neither stored nor deflated"),
    "broken BZIP2": (broken(zipfile.ZIP_BZIP2), "neither stored nor deflated"),
    "broken deflate": (broken(zipfile.ZIP_DEFLATED), "not a readable npz"),
    "name in no UTF-8": (named_in_no_utf8(), "not a readable npz"),
    "edges of no dimension": (saved(calibration__edges=np.array(0.1)), "no npy array"),
    "edges of two": (
        saved(calibration__edges=np.array([[0.1, 0.2]])),
        "its calibration has the wrong shape",
    ),
    "descending edges": (
        saved(
            calibration__edges=np.array([3.0, 1.0]),
            calibration__chances=np.array([0.1, 0.5, 0.9]),
        ),
        "the edges of its calibration descend",
    ),
    "no chances": (
        saved(calibration__edges=np.empty(0), calibration__chances=np.empty(0)),
        "its calibration has the wrong shape",
    ),
    "falling chances": (
        saved(calibration__chances=np.array([0.6, 0.5])),
        "no probabilities that ascend",
    ),
    "impossible chances": (
        saved(calibration__chances=np.array([0.6, 1.5])),
        "no probabilities",
    ),
    "no outputs": (saved(**NARROW), "layer 1 has the wrong shape"),
    "numbers that overflow": (saved(seed0__actor__weight1=HUGE), "or beyond 1e+12"),
}
CARDS: dict[str, tuple[bytes, str]] = {
    "nested deep": (raw().replace(b'"evidence": {}', b'"evidence": {"a":%b}' % DEEP),
                    "recursion"),
    "a number without end": (raw().replace(b'"trials": 1', b'"trials": 1%b' % NINES),
                             "trials"),
    "unknown costs": (described(costs={"x": 1.0}), "unexpected keyword argument 'x'"),
    "costs that give": (described(costs={"slippage_bps": -5.0}), "its costs make"),
    "costs that overflow": (described(costs={"fee_bps": 1e308}), "its costs make"),
    "costs that take all": (described(costs={"fee_bps": 10_001.0}), "its costs make"),
    "other inputs": (described(inputs=["a"]), "the wrong shape"),
    "too long": (described(data="x" * 1024 * 1024), "has more than 1048576 bytes"),
    "no costs of numbers": (raw(costs={"fee_bps": None}), "Expected `float`"),
}  # fmt: skip
ROLES: dict[str, tuple[bytes, str]] = {
    "too long": (b" " * (1024 * 1024 + 1), "has more than 1048576 bytes"),
    "nested deep": (b'{"x":%b}' % DEEP, "recursion"),
    "no UTF-8": (b"\xff", "roles.json: refused"),
    "a path": (
        msgspec.json.encode(Roles([Promotion("../../x", NOON, "by hand")])),
        "this is no name of a version",
    ),
    "nobody": (
        msgspec.json.encode(Roles([Promotion("v9", NOON, "by hand")])),
        "model trader v9: refused",
    ),
}


@pytest.fixture
def served(tmp_path: Path) -> Serving:
    """Return what serves a good model, and looks at the registry in this folder."""
    registry = Registry(str(tmp_path), NAME)
    registry.promote(added(registry, card()), NOON)
    serving = Serving(str(tmp_path))
    assert serving.refresh() is None
    return serving


def forge(root: Path, weights: bytes, described: bytes) -> None:
    """Make a version with a manifest that fits champion, without any gate."""
    folder = root / NAME / "versions" / HOSTILE
    folder.mkdir(parents=True)
    (folder / "weights.npz").write_bytes(weights)
    (folder / "card.json").write_bytes(described)
    files = (_File(_sha256(data), len(data)) for data in (weights, described))
    (folder / "manifest.json").write_bytes(msgspec.json.encode(_Manifest(*files)))
    roles = Registry(str(root), NAME).roles()
    moved = Roles([*roles.promotions, Promotion(HOSTILE, NOON, "by hand")])
    (root / NAME / "roles.json").write_bytes(msgspec.json.encode(moved))


def require_refusal(root: Path, served: Serving, reason: str) -> None:
    assert served.model is not None
    before = served.model.version
    # Also where it begins: the champion before it decides, and no model of ours.
    for serving in (served, Serving(str(root))):
        refused = serving.refresh()
        assert refused is not None
        assert reason in refused
        assert len(refused) < 600
        assert serving.model is not None
        assert serving.model.version == before


@pytest.mark.parametrize("kind", WEIGHTS)
def test_hostile_weights_are_refused_and_the_old_model_goes_on(
    kind: str, tmp_path: Path, served: Serving
):
    weights, reason = WEIGHTS[kind]
    forge(tmp_path, weights, described())
    require_refusal(tmp_path, served, reason)


def test_quantiles_of_no_outputs_are_refused(tmp_path: Path, served: Serving):
    forge(tmp_path, saved(**NO_QUANTILES), described(head="quantiles"))
    require_refusal(tmp_path, served, "layer 0 has the wrong shape")


@pytest.mark.parametrize("kind", CARDS)
def test_a_hostile_card_is_refused_and_the_old_model_goes_on(
    kind: str, tmp_path: Path, served: Serving
):
    text, reason = CARDS[kind]
    forge(tmp_path, saved(), text)
    require_refusal(tmp_path, served, reason)


@pytest.mark.parametrize("kind", ROLES)
def test_hostile_roles_are_refused_and_the_old_model_goes_on(
    kind: str, tmp_path: Path, served: Serving
):
    text, reason = ROLES[kind]
    (tmp_path / NAME / "roles.json").write_bytes(text)
    assert served.model is not None
    before = served.model.version
    assert reason in (served.refresh() or "")
    assert served.model.version == before
    begun = Serving(str(tmp_path))
    assert reason in (begun.refresh() or "")
    assert begun.model is None  # who was champion is not known: nobody decides


PICKLES: dict[str, Callable[[Path], bytes]] = {
    "alone": lambda trace: pickle.dumps(Executes(trace)),
    "as an array": lambda trace: zipped(object_array(trace)),
}


@pytest.mark.parametrize("kind", PICKLES)
def test_nothing_in_a_file_is_executed(kind: str, tmp_path: Path, served: Serving):
    trace = tmp_path / "executed"
    forge(tmp_path, PICKLES[kind](trace), described())
    require_refusal(tmp_path, served, "refused")
    assert not trace.exists()


def test_the_same_files_unspoilt_are_taken(tmp_path: Path, served: Serving):
    forge(tmp_path, saved(), described())
    assert served.refresh() is None
    assert served.model is not None
    assert served.model.version == HOSTILE


def test_a_calibration_of_one_step_is_taken(tmp_path: Path, served: Serving):
    only = {
        "calibration__edges": np.empty(0),
        "calibration__chances": np.array([0.5]),
    }
    forge(tmp_path, saved(**only), described())
    assert served.refresh() is None
