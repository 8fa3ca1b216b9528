from __future__ import annotations

import builtins
import os
import pickle
import pickletools
import random
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sanderling.errors import ModelError
from sanderling.models.weights.pdparams import read_pdparams

WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)


class Paddled:
    """A tensor as newer versions write it: a call of tuple with its name and array."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array = array

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return tuple, (("conv2d_0.w_0", self.array),)


class Calls:
    """Whoever trusts the file calls this."""

    def __init__(self, function: object, *arguments: object, state: object = None) -> None:
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Any:
        return self.reduced


def _written(tmp_path: Path, content: object, *, protocol: int = 4) -> Path:
    path = tmp_path / "net.pdparams"
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_arrays_come_back_whatever_the_protocol(tmp_path: Path, protocol: int) -> None:
    content = {
        "backbone.conv.weight": WEIGHT,
        "columns_first": np.asfortranarray(WEIGHT.astype(np.float64)),
        "half": WEIGHT.astype(np.float16),
        "counter": np.array(7, dtype=np.int64),
        "nothing": np.zeros((0, 4), dtype=np.float32),
        "StructuredToParameterName@@": {"backbone.conv.weight": "conv2d_0.w_0"},
    }
    found = read_pdparams(_written(tmp_path, content, protocol=protocol))
    assert list(found) == ["backbone.conv.weight", "columns_first", "half", "counter", "nothing"]
    for name in ("backbone.conv.weight", "columns_first", "half"):
        assert found[name].tolist() == WEIGHT.tolist()
    assert found["columns_first"].dtype == torch.float64
    assert int(found["counter"]) == 7
    assert found["nothing"].shape == (0, 4)
    found["backbone.conv.weight"][0, 0] = 5  # they are ours to write to


@pytest.mark.parametrize("protocol", [2, 4])
def test_arrays_in_pairs_with_their_names(tmp_path: Path, protocol: int) -> None:
    found = read_pdparams(_written(tmp_path, OrderedDict(a=Paddled(WEIGHT)), protocol=protocol))
    assert torch.equal(found["a"], torch.from_numpy(WEIGHT))


def test_the_names_of_older_numpy_are_known(tmp_path: Path) -> None:
    data = pickle.dumps({"a": WEIGHT}, protocol=2)
    assert b"numpy._core.multiarray" in data
    found = read_pdparams(_written(tmp_path, data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")))
    assert torch.equal(found["a"], torch.from_numpy(WEIGHT))


def test_large_arrays_in_pieces_become_whole(tmp_path: Path) -> None:
    flat = WEIGHT.reshape(-1)
    content = {
        "b": np.ones(2, dtype=np.float32),
        "w@@.0": flat[:4],
        "w@@.1": flat[4:],
        "UnpackBigParamInfor@@": {"w": {"OriginShape": (2, 3), "slices": ["w@@.0", "w@@.1"]}},
    }
    found = read_pdparams(_written(tmp_path, content))
    assert set(found) == {"b", "w"}
    assert torch.equal(found["w"], torch.from_numpy(WEIGHT))
    content["UnpackBigParamInfor@@"] = {"w": {"OriginShape": (2, 3), "slices": ["w@@.0", "w@@.2"]}}
    with pytest.raises(ModelError, match="a piece that is not known"):
        read_pdparams(_written(tmp_path, content))


def _doubled() -> tuple[Any, ...]:
    """Small in a file; printing or hashing it takes longer than anyone waits."""
    doubled: tuple[Any, ...] = ()
    for _ in range(60):
        doubled = (doubled, doubled)
    return doubled


def _hostile(trace: Path) -> dict[str, object]:
    """Files that would make the file `trace`, or worse, if they were trusted."""
    command, code = f"touch {trace}", f"open({str(trace)!r}, 'w').close()"
    text = str(trace).encode()
    return {
        "a command": {"a": WEIGHT, "b": Calls(os.system, command)},
        "code": {"a": WEIGHT, "b": Calls(builtins.eval, code)},
        "code, as paddle writes some tensors": {"b": Calls(builtins.eval, "data", {"data": WEIGHT})},
        "a path": Calls(Path.touch, trace),
        "a bare name": b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
        "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0eos.path.system\x93\x8c\x01a\x85R.",
        "numpy's way to import": b"\x80\x02cnumpy.core.multiarray\n_os\n.",
        "numpy's loader": b"\x80\x02cnumpy\nload\nX" + len(text).to_bytes(4, "little") + text + b"\x85R.",
        "numpy's scalar": {"b": np.float32(3)},
        "an array of objects": {"b": np.array([Calls(os.system, command), None], dtype=object)},
        "an array of records": {"b": np.zeros(2, dtype=[("x", "f4")])},
        "old instance": b"(X\x01\x00\x00\x00aios\nsystem\n.",
        "old object": b"(cos\nsystem\nX\x01\x00\x00\x00ao.",
        "a persistent name": b"\x80\x02Pwhatever\n.",
        "an extension": b"\x80\x02\x82\x01.",
        "a new object": {"b": Path("x")},
        "a set": {"b": {1, 2}},
        "a class filled": b"\x80\x02cnumpy\nndarray\n}X\x01\x00\x00\x00aK\x01sb.",
        "a text called": b"\x80\x02X\x01\x00\x00\x00aK\x01\x85R.",
        "bytes called": b"\x80\x03C\x01a)R.",
        "a tuple of a dictionary": b"\x80\x02c__builtin__\ntuple\n}\x85R.",
        "a tuple of tuples without end as a number type": {"a": Calls(np.dtype, _doubled())},
        "the same as the name of a piece": {
            "a": WEIGHT,
            "UnpackBigParamInfor@@": {"w": {"OriginShape": (2, 3), "slices": [_doubled()]}},
        },
        "a foreign encoding": b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R.",
    }


@pytest.mark.parametrize("name", list(_hostile(Path("x"))))
def test_hostile_files_run_nothing_and_end_in_one_error(tmp_path: Path, name: str) -> None:
    trace = tmp_path / "trace"
    path = _written(tmp_path, _hostile(trace)[name])
    with pytest.raises(ModelError, match=r"net\.pdparams: is no \.pdparams of plain arrays.*nothing in it was run"):
        read_pdparams(path)
    assert not trace.exists()


@pytest.mark.parametrize("name", ["a command", "code", "an array of objects"])
def test_the_hostile_files_would_have_run(tmp_path: Path, name: str) -> None:
    trace = tmp_path / "trace"
    pickle.loads(_written(tmp_path, _hostile(trace)[name]).read_bytes())
    assert trace.exists()


def test_arrays_that_cannot_be_are_refused(tmp_path: Path) -> None:
    whole = pickle.dumps({"a": WEIGHT}, protocol=2)
    changes = {
        b"K\x02K\x03\x86": b"K\x02K\x04\x86",  # another shape than there are numbers
        b"X\x02\x00\x00\x00f4": b"X\x02\x00\x00\x00O8",  # objects
        b"X\x01\x00\x00\x00<": b"X\x01\x00\x00\x00>",  # the other byte order
    }
    for old, new in changes.items():
        assert old in whole
        with pytest.raises(ModelError, match="nothing in it was run"):
            read_pdparams(_written(tmp_path, whole.replace(old, new, 1)))


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_file_that_is_cut_off_anywhere_is_named(tmp_path: Path, protocol: int) -> None:
    whole = pickle.dumps({"a": WEIGHT, "b": Paddled(WEIGHT)}, protocol=protocol)
    for size in range(len(whole)):
        with pytest.raises(ModelError, match=r"is no \.pdparams of plain arrays, or it is cut off"):
            read_pdparams(_written(tmp_path, whole[:size]))


def test_no_instruction_at_any_place_gets_further_than_one_error(tmp_path: Path) -> None:
    whole = pickle.dumps({"a": WEIGHT[:1, :2], "b": Paddled(WEIGHT[:1, :1])}, protocol=4)
    draw = random.Random(0)
    for _ in range(400):
        place, code = draw.randrange(2, len(whole)), draw.choice(pickletools.opcodes).code.encode("latin1")
        path = _written(tmp_path, whole[:place] + code + whole[place + 1 :])
        try:
            found = read_pdparams(path)
        except ModelError:
            continue
        assert all(isinstance(value, torch.Tensor) for value in found.values())


def test_memory_that_a_file_asks_for_is_not_taken(tmp_path: Path) -> None:
    for content in (
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",  # bytes
        b"\x80\x04}r\xff\xff\xff\xff.",  # a place in the memo
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f}.",  # a frame
    ):
        with pytest.raises(ModelError, match="nothing in it was run"):
            read_pdparams(_written(tmp_path, content))


@pytest.mark.parametrize(
    "content", [b"", b"hello", {}, [1, 2], {"a": 3}, {"a": "x"}, {3: WEIGHT}, {"a": {"b": WEIGHT}}]
)
def test_files_of_other_kinds_are_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(ModelError, match=r"is no \.pdparams of plain arrays"):
        read_pdparams(_written(tmp_path, content))


def test_missing_and_gigantic_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such weights file"):
        read_pdparams(tmp_path / "none.pdparams")
    path = tmp_path / "huge.pdparams"
    with path.open("wb") as file:
        file.truncate((1 << 30) + 1)
    with pytest.raises(ModelError, match="is larger than 1024 MiB"):
        read_pdparams(path)


def test_a_small_file_does_not_become_a_large_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sanderling.models.weights.pdparams._LARGEST_BYTES", 1 << 20)
    block = np.zeros(1 << 16, dtype=np.float32)  # a quarter of what is read at most
    many = {str(number): block for number in range(4)}
    assert len(read_pdparams(_written(tmp_path, many))) == 4
    with pytest.raises(ModelError, match="one of them under many names, are larger than 1 MiB"):
        read_pdparams(_written(tmp_path, many | {"one more": block}))
    text = b"X" + (1 << 18).to_bytes(4, "little") + b"a" * (1 << 18)
    arguments = text + b"X\x06\x00\x00\x00latin1\x86\x94"
    with pytest.raises(ModelError, match="more than 1 MiB of bytes out of texts"):
        read_pdparams(_written(tmp_path, b"\x80\x04" + arguments + b"c_codecs\nencode\nh\x00R" * 5 + b"."))
