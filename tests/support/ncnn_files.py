"""ncnn pairs as its converter writes them: a network's convolutions with BatchNorm folded in, for BGR pictures."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from sanderling.models.network import DetectorNetwork
from sanderling.models.weights.run_order import convolutions_in_order


def write_ncnn(
    path: Path, convolutions: Sequence[tuple[Tensor, Tensor | None, int, int]], *, half: bool = True
) -> Path:
    """Write convolutions in a row: weight, bias, stride and groups of each. The name of the `.param` is given back."""
    lines, data = ["Input data 0 1 data"], b""
    for number, (weight, bias, stride, groups) in enumerate(convolutions):
        outputs, _, height, width = weight.shape
        kind = "Convolution" if groups == 1 else "ConvolutionDepthWise"
        values = f"0={outputs} 1={width} 11={height} 3={stride} 4={width // 2} 5={int(bias is not None)}"
        values += f" 6={weight.numel()} 7={groups} 9=2 -23310=1,1.000000e-01"
        lines.append(f"{kind:24s} Conv_{number} 1 1 {number} {number + 1} {values}")
        if half:
            numbers = weight.half().numpy().tobytes()
            data += struct.pack("<I", 0x01306B47) + numbers + b"\0" * (-len(numbers) % 4)
        else:
            data += struct.pack("<I", 0) + weight.float().numpy().tobytes()
        data += b"" if bias is None else bias.float().numpy().tobytes()
    text = "\n".join(["7767517", f"{len(lines)} {len(lines)}", *lines]) + "\n"
    path.with_suffix(".param").write_text(text)
    path.with_suffix(".bin").write_bytes(data)
    return path.with_suffix(".param")


def folded(network: DetectorNetwork) -> list[tuple[Tensor, Tensor | None, int, int]]:
    """The convolutions of a network as its converter would have them."""
    state = network.state_dict()
    found: list[tuple[Tensor, Tensor | None, int, int]] = []
    for step in convolutions_in_order(network.config):
        weight, bias = state[f"{step.name}.weight"], state.get(f"{step.name}.bias")
        if step.norm is not None:
            scale = state[f"{step.norm_name}.weight"] / (state[f"{step.norm_name}.running_var"] + step.norm.eps).sqrt()
            bias = state[f"{step.norm_name}.bias"] - scale * state[f"{step.norm_name}.running_mean"]
            weight = weight * scale[:, None, None, None]
        found.append((weight, bias, step.conv.stride[0], step.conv.groups))
    first, *rest = found
    return [(first[0].flip(1), *first[1:]), *rest]
