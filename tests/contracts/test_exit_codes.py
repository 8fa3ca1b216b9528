"""What scripts see when something is wrong: the exit code, and one line that says what and what to do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from sanderling.datasets.synthetic import write_scenes
from tests.support.command_line import CommandLine


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("data") / "scenes", train=1, val=1, size_hw=(64, 96))


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "a.png"
    cv2.imwrite(str(path), np.zeros((40, 60, 3), np.uint8))
    return path


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("data check SCENES", 0),
        ("data check TMP/absent", 3),
        ("data check SCENES --data-format coko", 2),
        ("data stats SCENES --split tset", 2),
        ("data split SCENES -o TMP/new --fractions train=2", 2),
        ("models show absent", 2),
        ("models show TMP/absent.safetensors", 4),
        ("weights import TMP/absent.ckpt --model nanodet-m -o TMP/w.safetensors", 4),
        ("weights import TMP/absent.ckpt --model nanodet-x -o TMP/w.safetensors", 2),
        ("train nanodet-debg --data SCENES -o TMP/run", 2),
        ("train nanodet-debug --data TMP/absent -o TMP/run", 3),
        ("train nanodet-debug --data SCENES -o TMP/run --set loop.epoch=1", 2),
        ("train nanodet-debug --data SCENES -o TMP/run --weights TMP/absent.safetensors", 4),
        ("val TMP/absent.onnx --data SCENES", 4),
        ("val nanodet-debug --data SCENES", 4),
        ("predict TMP/absent.onnx PICTURE -o TMP/found", 4),
        ("export TMP/absent.safetensors -o TMP/exported", 4),
        ("export TMP/absent.safetensors --target onxx", 2),
        ("bench TMP/absent.onnx", 4),
        ("bench TMP/absent.onnx --threads 0", 2),
    ],
)
def test_each_kind_of_fault_has_its_exit_code(
    command_line: CommandLine, scenes: Path, picture: Path, tmp_path: Path, words: str, code: int
) -> None:
    places = {"SCENES": scenes, "PICTURE": picture, "TMP": tmp_path}
    for name, place in places.items():
        words = words.replace(name, str(place))
    ran = command_line(*words.split(), "--json", "-")
    assert ran.code == code, ran.err
    if code:
        assert ran.out == ""
        assert ran.err.splitlines()[-1].startswith("error: ")
        assert not list(tmp_path.iterdir()), "something half-written is left"


def test_a_missing_package_has_its_exit_code_and_the_line_that_installs_it(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = __import__("importlib.util").util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *rest: None if name == "torch" else find_spec(name, *rest)
    )
    ran = command_line("models", "show", "nanodet-m")
    assert ran.code == 7
    assert "pip install 'sanderling[train]'" in ran.err


def test_a_fault_of_ours_is_an_internal_error(command_line: CommandLine) -> None:
    command_line.stand_in("models", "list_models", AssertionError("impossible"))
    ran = command_line("models")
    assert ran.code == 70
    assert ran.err.startswith("internal error: AssertionError: impossible")


def test_nan_in_a_result_never_reaches_the_json(command_line: CommandLine) -> None:
    command_line.stand_in("models", "list_models", [{"macs": float("nan")}])
    ran = command_line("models", "--json", "-")
    assert (ran.code, ran.out) == (70, "")


def test_ctrl_c_is_130(tmp_path: Path) -> None:
    program = (
        "import signal, sys, time, sanderling.commands.data as home\n"
        # A shell starts what runs in the background with the signal ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from sanderling.cli import main\n"
        "def check(*_, **__):\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
        "home.check = check\n"
        "sys.exit(main(['data', 'check', 'x']))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in said


def test_the_module_is_the_command(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "sanderling", "data", "check", "absent"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert ran.returncode == 3
    assert ran.stderr.startswith("error: ")


def test_a_reader_who_leaves_gets_no_traceback(scenes: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "sanderling", "data", "check", str(scenes), "--json", "-"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 0
    assert said == ""
