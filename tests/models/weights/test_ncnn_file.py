from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sanderling.errors import ModelError
from sanderling.models.weights.ncnn_file import read_ncnn
from tests.support.ncnn_files import write_ncnn

PLAIN = (torch.arange(2 * 3 * 1 * 3, dtype=torch.float32).view(2, 3, 1, 3) - 4.5, torch.tensor([0.5, -2.0]), 2, 1)
DEPTHWISE = (torch.linspace(-1, 1, 45).view(5, 1, 3, 3), None, 1, 5)


def _written(tmp_path: Path, *, half: bool = True) -> Path:
    return write_ncnn(tmp_path / "net.param", [PLAIN, DEPTHWISE], half=half)


@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize("suffix", [".param", ".bin"])
def test_convolutions_come_back_in_order(tmp_path: Path, half: bool, suffix: str) -> None:
    # 45 halves take 90 bytes: the file rounds up to 92.
    first, second = read_ncnn(_written(tmp_path, half=half).with_suffix(suffix))
    assert torch.equal(first.weight, PLAIN[0])
    assert first.bias is not None
    assert first.bias.tolist() == [0.5, -2.0]
    assert (first.name, first.stride, first.groups) == ("Conv_0", (2, 2), 1)
    torch.testing.assert_close(second.weight, DEPTHWISE[0], rtol=0, atol=1e-3 if half else 0)
    assert (second.bias, second.stride, second.groups) == (None, (1, 1), 5)


@pytest.mark.parametrize("size", [0, 3, 4, 7, 39, 40, 47, 143])
def test_data_that_is_cut_off_names_the_layer(tmp_path: Path, size: int) -> None:
    data = _written(tmp_path).with_suffix(".bin")
    assert len(data.read_bytes()) == 4 + 36 + 8 + 4 + 92
    data.write_bytes(data.read_bytes()[:size])
    with pytest.raises(ModelError, match=r"net\.bin: ends inside 'Conv_[01]': \d+ bytes are expected, \d+ are left"):
        read_ncnn(data)


def test_data_that_is_too_long_is_refused(tmp_path: Path) -> None:
    data = _written(tmp_path).with_suffix(".bin")
    data.write_bytes(data.read_bytes() + b"\0" * 4)
    with pytest.raises(ModelError, match=r"net\.bin: 4 bytes are left over; it does not belong to net\.param"):
        read_ncnn(data)


def test_a_text_that_is_cut_off_is_named(tmp_path: Path) -> None:
    path = _written(tmp_path)
    path.write_text("\n".join(path.read_text().splitlines()[:-1]))
    with pytest.raises(ModelError, match=r"announces 3 layers and holds 2; is it cut off"):
        read_ncnn(path)


@pytest.mark.parametrize("missing", [".param", ".bin"])
def test_half_a_pair_is_named(tmp_path: Path, missing: str) -> None:
    path = _written(tmp_path)
    path.with_suffix(missing).unlink()
    with pytest.raises(ModelError, match=rf"net\{missing}: no such weights file.*lie beside each other"):
        read_ncnn(path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("7767517", "7767518", r"does not begin with 7767517"),
        ("3 3\n", "3\n", r"announces 3 layers and holds 3|announces"),
        ("6=18", "6=17", r"'Conv_0' cannot be: 2 outputs, kernel 1x3, 1 groups, 17 weights"),
        ("7=5", "7=2", r"'Conv_1' cannot be: 5 outputs, kernel 3x3, 2 groups"),
        ("3=2", "3=0", r"'Conv_0' cannot be"),
        ("0=2 ", "0=-2 ", r"'Conv_0' cannot be"),
        ("0=2 ", "0=two ", r"'Conv_0' has a size that is no whole number"),
        ("6=45", f"6={45 * 10**12}", r"ends inside 'Conv_1'"),
        ("6=18", "6=18 19=1", r"'Conv_0' are computed while it runs"),
        ("ConvolutionDepthWise", "InnerProduct", r"layer 'Conv_1' is a InnerProduct; only networks"),
        ("Conv_0 1 1", "Conv_0 1 x", r"is no layer; is the file damaged"),
        ("Conv_0 1 1", "Conv_0 -9 1", r"is no layer; is the file damaged"),
        ("Conv_0 1 1", "Conv_0 1 99", r"is no layer; is the file damaged"),
    ],
)
def test_texts_that_cannot_be(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = _written(tmp_path)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ModelError, match=words):
        read_ncnn(path)


def test_binary_texts_and_quantised_or_infinite_weights_are_refused(tmp_path: Path) -> None:
    path = _written(tmp_path)
    whole = path.with_suffix(".bin").read_bytes()
    for tag in (0x000D4B38, 0x00000100):
        path.with_suffix(".bin").write_bytes(tag.to_bytes(4, "little") + whole[4:])
        with pytest.raises(ModelError, match=r"'Conv_0' are stored as 0x000\w+; float32 and float16 are read"):
            read_ncnn(path)
    path.with_suffix(".bin").write_bytes(whole[:4] + b"\x00\x7c" + whole[6:])
    with pytest.raises(ModelError, match="'Conv_0' holds numbers that are not finite"):
        read_ncnn(path)
    path.write_bytes(b"\xdd\x85\x76\x00\xff")
    with pytest.raises(ModelError, match="is no text"):
        read_ncnn(path)
