"""PaddleDetection's weights (`.pdparams`): a pickle, of which only arrays, texts and dictionaries are read.

The pickle is taken apart by a machine that knows the instructions such files need and nothing else. What it would
import is looked up in a small table, and each name in it stands for a class of ours that holds numbers. No name of
the file is ever imported, no code of it ever called, and no numpy object is built from its say-so.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from sanderling.errors import ModelError

_LARGEST_BYTES = 1 << 30
_NAMES_KEY, _PARTS_KEY = "StructuredToParameterName@@", "UnpackBigParamInfor@@"
_DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "b1")


def read_pdparams(path: Path) -> dict[str, Tensor]:
    """The arrays of a file by their names in it.

    Raises:
        ModelError: the file is missing, cut off, too large, or holds anything but arrays.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such weights file")
    if path.stat().st_size > _LARGEST_BYTES:
        raise ModelError(f"{path}: is larger than {_LARGEST_BYTES >> 20} MiB, which no detector of PaddleDetection is")
    try:
        loaded = _Reader(io.BytesIO(path.read_bytes())).load()
        return _tensors(loaded)
    except _UNREADABLE as error:
        raise ModelError(
            f"{path}: is no .pdparams of plain arrays, or it is cut off ({_in_words(error)}); nothing in it was run"
        ) from None


def _tensors(loaded: object) -> dict[str, Tensor]:
    if not isinstance(loaded, _Dictionary):
        raise _Refused(f"a dictionary of arrays is expected, not a {type(loaded).__name__}")
    values: dict[str, object] = dict(loaded)
    values.pop(_NAMES_KEY, None)
    arrays = {name: _array(name, value) for name, value in values.items() if name != _PARTS_KEY}
    if sum(array.nbytes for array in arrays.values()) > _LARGEST_BYTES:
        raise _Refused(f"its arrays, one of them under many names, are larger than {_LARGEST_BYTES >> 20} MiB")
    arrays = _joined(arrays, values.get(_PARTS_KEY, {}))
    if not arrays:
        raise _Refused("no array is in it")
    # A copy each: the bytes of the file are read-only.
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}


def _array(name: str, value: object) -> np.ndarray[Any, Any]:
    """The numbers of an entry; newer files pair them with the parameter's own name."""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
        value = value[1]
    if not isinstance(value, _Array) or value.numbers is None:
        raise _Refused(f"{name!r} is no array")
    return value.numbers


def _joined(arrays: Mapping[str, np.ndarray[Any, Any]], parts: object) -> dict[str, np.ndarray[Any, Any]]:
    """Large arrays are stored in pieces; here they are whole."""
    joined = dict(arrays)
    for name, plan in parts.items() if isinstance(parts, _Dictionary) else ():
        shape, pieces = plan["OriginShape"], plan["slices"]
        if not all(isinstance(piece, str) for piece in pieces):
            raise _Refused(f"the pieces of {name!r} are not named by texts")
        joined[name] = np.concatenate([joined.pop(piece).reshape(-1) for piece in pieces]).reshape(_shape(shape))
    return joined


class _Refused(Exception):  # noqa: N818 - it never leaves this file
    """The file asks for something that weights do not need."""


class _Dictionary(dict[str, Any]):
    """Keys are texts: others could be made to take forever, or the whole stack, to compare."""

    def __setitem__(self, key: object, value: object) -> None:
        if not isinstance(key, str):
            raise _Refused(f"a dictionary key is a {type(key).__name__}")
        super().__setitem__(key, value)


class _Dtype:
    """What stands for numpy's dtype."""

    def __init__(self, code: object, *_align_and_copy: object) -> None:
        if code not in _DTYPES:
            # Anything but a text may take forever to print.
            said = repr(code[:20]) if isinstance(code, str) else f"a {type(code).__name__}"
            raise _Refused(f"arrays of {said} are not read")
        self.code = str(code)

    def fill(self, state: object) -> None:
        """Byte order and the rest of a plain number type."""
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", "|"):
            raise _Refused("numbers are not little-endian")


class _Array:
    """What stands for numpy's ndarray: first empty, then filled."""

    def __init__(self, *_kind_shape_code: object) -> None:
        self.numbers: np.ndarray[Any, Any] | None = None

    def fill(self, state: object) -> None:
        """Version, shape, number type, whether columns come first, bytes."""
        if not isinstance(state, tuple) or len(state) != 5:
            raise _Refused("an array has an unknown form")
        _, shape, dtype, columns_first, data = state
        if not isinstance(dtype, _Dtype) or not isinstance(data, bytes):
            raise _Refused("an array holds something other than numbers")
        sides = _shape(shape)
        numbers = np.frombuffer(data, dtype="<" + dtype.code if dtype.code[1] != "1" else dtype.code)
        if math.prod(sides) != len(numbers):
            raise _Refused(f"an array of shape {sides} has {len(numbers)} numbers")
        self.numbers = numbers.reshape(sides, order="F" if columns_first else "C")


def _shape(sides: object) -> tuple[int, ...]:
    if not isinstance(sides, tuple) or len(sides) > 8 or not all(isinstance(side, int) and side >= 0 for side in sides):
        raise _Refused("an array has a shape that cannot be")
    return sides


class _Call:
    """A name that the file may use, and what of ours is done for it."""

    def __init__(self, make: Callable[..., object]) -> None:
        self.make = make


def _latin_bytes(text: object, encoding: object) -> bytes:
    """Old protocols write bytes as a text of 256 characters."""
    if not isinstance(text, str) or encoding != "latin1":
        raise _Refused("bytes are written in an unknown way")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """Old protocols write empty bytes as a call."""
    return b""


def _pair(values: object) -> tuple[Any, ...]:
    """Newer files write (name, array) as a call of tuple."""
    if not isinstance(values, tuple):
        raise _Refused("a tuple is made of something else")
    return values


_UNREADABLE = (
    *(_Refused, pickle.UnpicklingError, struct.error, EOFError),
    *(AttributeError, LookupError, OverflowError, TypeError, ValueError),
)
_KNOWN = {
    "_codecs encode": _Call(_latin_bytes),
    "__builtin__ bytes": _Call(_no_bytes),
    "builtins tuple": _Call(_pair),
    "__builtin__ tuple": _Call(_pair),
    "collections OrderedDict": _Call(_Dictionary),
    **{
        f"{package} {name}": _Call(make)
        # numpy 2 calls its core _core.
        for package in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")
        for name, make in (("_reconstruct", _Array), ("ndarray", _Array), ("dtype", _Dtype))
    },
}


class _Reader(pickle._Unpickler):
    """A pickle machine with the instructions for dictionaries, arrays and texts, and no others.

    It is Python's own one written in Python; the other, in C, may be asked for any amount of memory.
    """

    stack: list[Any]
    append: Callable[[object], None]
    made_bytes: int = 0
    """Bytes that calls have made so far: a file may ask for the same ones again and again."""
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        code[0]: pickle._Unpickler.dispatch[code[0]]
        for code in (
            *(pickle.PROTO, pickle.FRAME, pickle.STOP, pickle.MARK, pickle.GLOBAL, pickle.STACK_GLOBAL),
            *(pickle.PUT, pickle.BINPUT, pickle.LONG_BINPUT, pickle.MEMOIZE),
            *(pickle.GET, pickle.BINGET, pickle.LONG_BINGET),
            *(
                pickle.NONE,
                pickle.NEWTRUE,
                pickle.NEWFALSE,
                pickle.BININT,
                pickle.BININT1,
                pickle.BININT2,
                pickle.LONG1,
            ),
            *(pickle.BINUNICODE, pickle.SHORT_BINUNICODE, pickle.BINUNICODE8),
            *(pickle.BINBYTES, pickle.SHORT_BINBYTES, pickle.BINBYTES8),
            *(pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
            *(pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS, pickle.SETITEM, pickle.SETITEMS),
        )
    }

    def find_class(self, module: str, name: str) -> Any:
        """Look a name up in the table; nothing is imported."""
        known = _KNOWN.get(f"{module} {name}")
        if known is None:
            raise _Refused(f"it asks for {module[:40]}.{name[:40]}")
        return known

    def load_empty_dictionary(self) -> None:
        """Begin a dictionary."""
        self.append(_Dictionary())

    def load_call(self) -> None:
        """Make what a known name stands for."""
        arguments, called = self.stack.pop(), self.stack[-1]
        if not isinstance(called, _Call) or not isinstance(arguments, tuple):
            raise _Refused("it calls something that is no known name")
        made = called.make(*arguments)
        self.made_bytes += len(made) if isinstance(made, bytes) else 0
        if self.made_bytes > _LARGEST_BYTES:
            raise _Refused(f"it makes more than {_LARGEST_BYTES >> 20} MiB of bytes out of texts")
        self.stack[-1] = made

    def load_state(self) -> None:
        """Fill an array or a number type."""
        state, target = self.stack.pop(), self.stack[-1]
        if not isinstance(target, _Array | _Dtype):
            raise _Refused("it changes something that is no array")
        target.fill(state)

    dispatch[pickle.EMPTY_DICT[0]] = load_empty_dictionary
    dispatch[pickle.REDUCE[0]] = load_call
    dispatch[pickle.BUILD[0]] = load_state


def _in_words(error: Exception) -> str:
    if isinstance(error, KeyError):
        return "it holds an instruction or a piece that is not known"
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
