"""The file of a distilled backbone: its tensors under a detector's names, and in its metadata how it was made.

Training starts from it as from any weights (`--weights FILE`); neck and head, which it does not hold, are drawn afresh.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sanderling import __version__, config
from sanderling.errors import ModelError
from sanderling.models.network import DetectorNetwork
from sanderling.models.weights.safetensors_file import read_metadata, write_tensors

_KEY = "sanderling_backbone"


def save_backbone(network: DetectorNetwork, path: Path, *, origin: Mapping[str, Any]) -> None:
    """Write a network's backbone, whole or not at all. Equal backbones of equal origin give equal files.

    Args:
        network: whose backbone is written.
        path: the file, conventionally `*.safetensors`.
        origin: how the weights were made, as plain values.
    """
    tensors = {f"backbone.{name}": tensor for name, tensor in network.backbone.state_dict().items()}
    description = {
        "model": network.config.name,
        "backbone": config.plain(network.config.backbone),
        "normalisation": config.plain(network.config.normalisation),
        "made_by": {"sanderling": __version__, **origin},
    }
    write_tensors(tensors, path, metadata={_KEY: json.dumps(description)})


def read_description(path: Path) -> dict[str, Any]:
    """What a backbone's file says of itself: `model`, `backbone`, `normalisation` and `made_by`.

    Raises:
        ModelError: the file is missing, cut off, or holds no backbone of ours.
    """
    text = read_metadata(path).get(_KEY)
    if text is None:
        raise ModelError(f"{path}: is no file of a distilled backbone; make one with: sanderling weights distill")
    description: dict[str, Any] = json.loads(text)
    return description
