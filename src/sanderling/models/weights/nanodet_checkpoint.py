"""NanoDet's published PyTorch checkpoints (`.pth`, `.ckpt`).

Four things differ from our networks: key prefixes (`fpn.` is our `neck.`), names of some layers, a buffer that our
coding computes, and the channel order of the first convolution, which was trained on BGR pictures. The branch that
guides NanoDet-Plus's training (`aux_fpn`, `aux_head`) belongs to no network; its tensors keep their names, so that who
reads the file can say that they are left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import Tensor

from sanderling.errors import ModelError

_COMPUTED = "head.distribution_project.project"
_AVERAGED = "avg_model."
_BACKBONE, _NECK = "backbone.", "fpn."
_TRAINERS = ("module.", _AVERAGED, "model.")


def holds_nanodet(state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict is a whole detector and not a bare backbone."""
    return any(_without_prefixes(key).startswith(_BACKBONE) for key in state)


def from_nanodet(state: Mapping[str, Tensor], *, source: str) -> dict[str, Tensor]:
    """A NanoDet state dict under our names, RGB; the averaged weights where it holds both.

    Raises:
        ModelError: it is not NanoDet's.
    """
    averaged = {key: value for key, value in state.items() if key.startswith(_AVERAGED)}
    plain = {_without_prefixes(key): value for key, value in (averaged or state).items()}
    renamed = {_our_name(key, plain.keys()): value for key, value in plain.items() if key != _COMPUTED}
    # Only the first convolutions see the three colours; RepVGG has two of them side by side.
    first = [key for key, value in renamed.items() if key.startswith(_BACKBONE) and _sees_colours(value)]
    if not first:
        raise ModelError(
            f"{source}: is no NanoDet checkpoint: no convolution of a 'backbone' that takes three channels is among "
            f"its {len(state)} keys (first: {next(iter(state), 'none')!r})"
        )
    return renamed | {key: renamed[key].flip(1) for key in first}


def _sees_colours(value: Tensor) -> bool:
    return value.ndim == 4 and value.shape[1] == 3


def _without_prefixes(key: str) -> str:
    for prefix in _TRAINERS:
        key = key.removeprefix(prefix)
    return key


def _our_name(key: str, keys: Collection[str]) -> str:
    """Our name of a tensor, by its own name and by those beside it."""
    if key.startswith("aux_"):
        return key
    block, conv, rest = key.rpartition(".conv.")
    if conv and f"{block}.bn.weight" not in keys:
        key = f"{block}.{rest}"  # their block of a convolution alone is our convolution
    key = key.replace(".bn.", ".norm.").replace("._", ".")
    return "neck." + key.removeprefix(_NECK) if key.startswith(_NECK) else key
