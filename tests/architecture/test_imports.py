"""Import directions, and what is never imported before it is needed."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import sanderling

ROOT = Path(__file__).parents[2]
PACKAGE = Path(sanderling.__file__).parent

BLOCK_TORCH = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "timm", "safetensors"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

sys.meta_path.insert(0, NoTorch())
"""


def _run(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)


def _contracts() -> list[dict[str, list[str]]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts: list[dict[str, list[str]]] = settings["tool"]["importlinter"]["contracts"]
    return contracts


def test_the_contracts_hold() -> None:
    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout


def test_every_room_has_its_layer() -> None:
    rooms = {
        f"sanderling.{path.stem}"
        for path in PACKAGE.iterdir()
        if (path.suffix == ".py" and not path.name.startswith("__")) or (path / "__init__.py").exists()
    }
    layers = {room.strip() for layer in _contracts()[0]["layers"] for room in layer.split("|")}
    assert layers == rooms


def test_faces_and_device_rooms_import_without_torch() -> None:
    names = [
        "sanderling.detector",
        "sanderling.cli.app",
        *(f"sanderling.commands.{path.stem}" for path in sorted((PACKAGE / "commands").glob("[a-z]*.py"))),
        *_contracts()[1]["source_modules"],
    ]
    program = BLOCK_TORCH + "import importlib\nfor name in sys.argv[1:]: importlib.import_module(name)\n"
    ran = _run(program, "sanderling", *names)
    assert ran.returncode == 0, ran.stderr


def test_the_block_blocks() -> None:
    assert _run(BLOCK_TORCH + "import sanderling.models.network").returncode != 0


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_help_and_version_import_nothing_heavy(word: str) -> None:
    program = (
        "import sys\n"
        "from sanderling.cli import main\n"
        f"main([{word!r}])\n"
        "heavy = {'torch', 'cv2', 'numpy', 'PIL', 'onnxruntime', 'pydantic', 'rich', 'ruamel', 'hotcoco'}\n"
        "print('heavy:', *sorted(heavy & set(sys.modules)))\n"
    )
    assert _run(program).stdout.splitlines()[-1] == "heavy:"


def test_help_is_quick() -> None:
    program = (
        "import os, subprocess, sys\n"
        "subprocess.run([sys.executable, '-m', 'sanderling', '--help'], stdout=subprocess.DEVNULL, check=True)\n"
        "used = os.times()\n"
        "print(used.children_user + used.children_system)\n"
    )
    # The best of a few: a busy machine only ever adds to it. The promise is 0.25 s; a slower machine gets some room.
    assert min(float(_run(program).stdout) for _ in range(3)) < 0.4


def test_public_names_are_resolved_on_first_use() -> None:
    for name in sanderling.__all__:
        assert getattr(sanderling, name) is not None
    assert set(dir(sanderling)) == set(sanderling.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Detektor'"):
        _ = sanderling.Detektor


def test_types_are_shipped() -> None:
    assert (PACKAGE / "py.typed").exists()
