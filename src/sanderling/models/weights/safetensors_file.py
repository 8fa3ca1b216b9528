"""Our weights file: safetensors with the model's configuration in its metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from sanderling import __version__, config
from sanderling.errors import ModelError, SanderlingError
from sanderling.models.network import DetectorConfig, DetectorNetwork
from sanderling.models.weights.fit import compare
from sanderling.models.weights.folded_batchnorm import folded_norms

_CONFIG_KEY, _VERSION_KEY, _FORMAT_VERSION = "sanderling_config", "sanderling_format", "1"


def save_network(network: DetectorNetwork, path: Path, *, extra: Mapping[str, str] | None = None) -> None:
    """Write a network's weights and configuration, whole or not at all. Equal networks give equal files.

    Args:
        network: what to write.
        path: the file, conventionally `*.safetensors`.
        extra: further metadata as text, such as the metrics that the weights reached.
    """
    metadata = {
        _VERSION_KEY: _FORMAT_VERSION,
        _CONFIG_KEY: json.dumps(config.plain(network.config)),
        "sanderling_version": __version__,
        **({"batchnorm": "folded"} if folded_norms(network) else {}),
        **(extra or {}),
    }
    write_tensors(network.state_dict(), path, metadata=metadata)


def write_tensors(tensors: Mapping[str, Tensor], path: Path, *, metadata: Mapping[str, str]) -> None:
    """Write tensors by name, and text beside them, whole or not at all. Equal ones give equal files."""
    from safetensors.torch import save

    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".partial")
    try:
        temporary.write_bytes(_in_order(save(held, metadata=dict(metadata))))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load_network(path: Path) -> DetectorNetwork:
    """Build the network that a weights file describes, with its weights, in eval mode.

    Raises:
        ModelError: the file is missing, cut off, not ours, or does not fit the configuration that it carries.
    """
    network = read_config(path).build()
    tensors = read_tensors(path)
    fit = compare(network.state_dict(), tensors)
    if not fit.exact:
        raise ModelError(f"{path}: does not fit the configuration that it carries: {fit}; write the file again")
    network.load_state_dict(tensors, strict=False)
    return network.eval()


def read_config(path: Path) -> DetectorConfig:
    """The configuration inside a weights file.

    Raises:
        ModelError: the file is missing, cut off or carries no configuration of ours.
    """
    metadata = read_metadata(path)
    if _CONFIG_KEY not in metadata:
        raise ModelError(
            f"{path}: is safetensors but carries no {_CONFIG_KEY!r}; "
            "read foreign weights with: sanderling weights import FILE --model NAME"
        )
    if metadata.get(_VERSION_KEY) != _FORMAT_VERSION:
        raise ModelError(
            f"{path}: format version {metadata.get(_VERSION_KEY)!r}, this sanderling reads {_FORMAT_VERSION!r}; "
            "use the version that wrote it, or export the weights again"
        )
    try:
        return config.parse(DetectorConfig, json.loads(metadata[_CONFIG_KEY]), source=str(path))
    except (SanderlingError, ValueError) as error:
        raise ModelError(f"{path}: unusable configuration inside: {error}") from None


def is_ours(path: Path) -> bool:
    """Whether a safetensors file carries a configuration of ours."""
    return _CONFIG_KEY in read_metadata(path)


def read_metadata(path: Path) -> dict[str, str]:
    """The text metadata of a safetensors file."""
    from safetensors import SafetensorError, safe_open

    _require(path)
    try:
        with safe_open(path, framework="pt") as opened:
            return dict(opened.metadata() or {})
    except SafetensorError as error:
        raise ModelError(f"{path}: is no readable safetensors file ({error}); is it cut off?") from None


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    _require(path)
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ModelError(f"{path}: is no readable safetensors file ({error}); is it cut off?") from None


def state_sha256(network: DetectorNetwork) -> str:
    """A hash of all weights by name; equal weights give equal hashes wherever they are stored."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _in_order(data: bytes) -> bytes:
    """A safetensors file with its metadata sorted: the library writes them in another order each time."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header = {"__metadata__": dict(sorted(header.pop("__metadata__").items())), **header}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    # Tensors begin at a multiple of eight bytes.
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[end:]


def _require(path: Path) -> None:
    if not path.is_file():
        raise ModelError(f"{path}: no such weights file")
