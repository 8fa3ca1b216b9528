"""Reading what stands beside an artefact."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from sanderling import config
from sanderling.errors import ModelError, UsageError
from sanderling.structures.artefact import SIDECAR_KEY, Artefact, sidecar_path


def read_sidecar(path: Path, metadata: Mapping[str, str]) -> Artefact:
    """The description of an artefact, from the file beside it or, where that is missing, from the metadata inside it.

    Args:
        path: the artefact.
        metadata: text by key that the engine found inside the artefact.

    Raises:
        ModelError: there is neither, or it is of another format.
    """
    beside = sidecar_path(path)
    try:
        text, source = beside.read_text(encoding="utf-8"), str(beside)
    except FileNotFoundError:
        if SIDECAR_KEY not in metadata:
            raise ModelError(
                f"{path}: has neither a sidecar {beside.name} beside it nor metadata of ours inside; bring the sidecar "
                "along, or write the artefact with: sanderling export MODEL -o FOLDER"
            ) from None
        text, source = metadata[SIDECAR_KEY], f"metadata of {path}"
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{beside}: cannot be read ({error}); export the model again") from None
    return parse_sidecar(text, source=source)


def parse_sidecar(text: str, *, source: str) -> Artefact:
    """The description that a sidecar's text holds.

    Raises:
        ModelError: no JSON, another format version, an unknown engine, or a value that does not fit.
    """
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{source}: is no JSON ({error}); export the model again") from None
    version = plain.get("format_version") if isinstance(plain, dict) else None
    if version != 1:
        raise ModelError(
            f"{source}: format_version = {version!r}; this sanderling reads 1: use the version that wrote the "
            "artefact, or export the model again"
        )
    try:
        return config.parse(Artefact, plain, source=source)
    except UsageError as error:
        raise ModelError(f"{error}; export the model again") from None
