"""`weights import`: published weights in, our weights file out."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling.commands.open_detector import require_torch
from sanderling.errors import ModelError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from sanderling.models.network import DetectorConfig, DetectorNetwork
    from sanderling.models.weights.fit import Fit

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportOutcome:
    """What was read and where it went."""

    source: str
    model: str
    output: str
    tensors: int
    """Tensors that the network got."""
    unexpected: tuple[str, ...]
    """Tensors of the source that the network has no place for."""
    folded_batchnorm: bool
    """The source had BatchNorm folded into its convolutions."""
    class_names: tuple[str, ...]
    weights_sha256: str

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain = dataclasses.asdict(self)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()}


def import_weights(
    source: str | Path, *, model: str, output: str | Path, class_names: Sequence[str] | None = None
) -> ImportOutcome:
    """Read published weights into a named model and write them as one safetensors file. Nothing in the file is run.

    Args:
        source: NanoDet's `.pth`, `.ckpt` or ncnn pair, darknet's `.weights`, PaddleDetection's `.pdparams`, or a
            safetensors file with our key names.
        model: a name of the zoo.
        output: the file to write, `*.safetensors`; it is replaced when it exists.
        class_names: names of the classes of the source; COCO's by default where it has 80, else class-0, class-1 ...

    Raises:
        UsageError: no such model, or another number of names than the source has classes.
        ModelError: the source cannot be read, or lacks tensors of the model, or has them in another shape; all are
            listed, and nothing is written.
        MissingDependencyError: torch is not installed.
    """
    require_torch("importing weights")
    from sanderling.models import zoo
    from sanderling.models.weights.fit import compare, listed
    from sanderling.models.weights.folded_batchnorm import folded_norms
    from sanderling.models.weights.read import read_weights
    from sanderling.models.weights.safetensors_file import save_network, state_sha256

    source, output = Path(source), Path(output)
    config = zoo.config(model)
    if output.suffix != ".safetensors":
        raise UsageError(f"output = {str(output)!r}: a file name that ends in .safetensors is expected")
    network = config.build()
    tensors = read_weights(source, network)
    named = _with_classes_of(network, tensors, class_names)
    if named != config:
        network = named.build()
    fit = compare(network.state_dict(), tensors)
    if not fit.complete:
        raise ModelError(
            f"{source}: is no {model}: {fit}; name the model that the file was made for"
            f"{_way_to_start(fit, source, model)}"
        )
    if fit.unexpected:
        logger.warning("%s: %d tensors are left out: %s", source, len(fit.unexpected), listed(fit.unexpected))
    network.load_state_dict(tensors, strict=False)
    save_network(network, output, extra={"imported_from": source.name})
    return ImportOutcome(
        source=str(source),
        model=model,
        output=str(output),
        tensors=len(tensors) - len(fit.unexpected),
        unexpected=fit.unexpected,
        folded_batchnorm=bool(folded_norms(network)),
        class_names=network.config.class_names,
        weights_sha256=state_sha256(network),
    )


def _way_to_start(fit: Fit, source: Path, model: str) -> str:
    """What else can be done with a file that has the whole backbone."""
    if fit.misshapen or any(name.startswith("backbone.") for name in fit.missing):
        return ""
    return f", or start training from what fits: sanderling train {model} --weights {source}"


def _with_classes_of(
    network: DetectorNetwork, tensors: dict[str, Tensor], class_names: Sequence[str] | None
) -> DetectorConfig:
    """The configuration with as many classes as the file has, named."""
    from sanderling.models.weights.class_outputs import count_classes

    config, classes = network.config, count_classes(tensors, network.class_rows())
    if class_names is not None:
        if classes is not None and len(class_names) != classes:
            raise UsageError(f"class_names: {len(class_names)} names are given, the source has {classes} classes")
        return config.with_classes(class_names)
    if classes is None or classes == len(config.class_names):
        return config
    logger.warning("the source has %d classes and no names for them; they are called class-0, class-1 ...", classes)
    return config.with_classes([f"class-{number}" for number in range(classes)])
