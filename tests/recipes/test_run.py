from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sanderling import config
from sanderling.data.samplers import RepeatFactorSampling
from sanderling.errors import UsageError
from sanderling.recipes.named import named, names
from sanderling.recipes.run import Run, read_run
from sanderling.training.optimizer import AdamWConfig, SgdConfig
from sanderling.training.schedule import MultiStepSchedule


@pytest.mark.parametrize("name", ["nanodet-debug", "ppyolo-tiny-published", "ssdlite-mobiledet-cpu-published"])
def test_a_run_survives_its_file(tmp_path: Path, name: str) -> None:
    run = named(name).with_data(path="data/birds", val=None)
    path = tmp_path / "run.yaml"
    path.write_text(config.dump(run), encoding="utf-8")
    assert read_run(path) == run


@pytest.mark.parametrize("name", names())
def test_a_run_survives_as_plain_values(name: str) -> None:
    run = named(name)
    assert config.parse(Run, json.loads(json.dumps(config.plain(run)))) == run


def test_yaml_keeps_every_value_of_every_run() -> None:
    values = [*{repr(value): value for name in names() for value in _values(config.plain(named(name)))}.values()]
    assert len(values) > 100
    read = config.load_yaml(config.dump_yaml(values), source="test")
    assert [(type(value), value) for value in read] == [(type(value), value) for value in values]


def _values(plain: Any) -> Iterator[Any]:
    """Everything in nested values that has no parts."""
    if isinstance(plain, dict | list):
        for inner in plain.values() if isinstance(plain, dict) else plain:
            yield from _values(inner)
    else:
        yield plain


def test_what_is_optional_survives_too(tmp_path: Path) -> None:
    run = config.override(
        named("nanodet-debug"),
        [
            "task.freeze=2",
            "weights=w.safetensors",
            "ema=null",
            "loop.clip_norm=null",
            "runtime.workers=3",
            "trackers=[mlflow, wandb]",
            "sampling.kind=repeat_factor",
            "sampling.threshold=0.3",
            "sampling.empty_share=0.1",
            "seed=7",
        ],
    )
    path = tmp_path / "run.yaml"
    path.write_text(config.dump(run), encoding="utf-8")
    read = read_run(path)
    assert read == run
    assert (read.task.freeze, read.ema, read.trackers) == (2, None, ("mlflow", "wandb"))
    assert read.sampling == RepeatFactorSampling(threshold=0.3, empty_share=0.1)


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("loop.epoch=3", "unknown key 'loop.epoch'; did you mean 'epochs'"),
        ("optimiser.lr=3", "unknown key 'optimiser'; did you mean 'optimizer'"),
        ("optimizer.kind=adam", "optimizer.kind = 'adam' is not a known kind; did you mean 'adamw'"),
        ("optimizer.lr=fast", "optimizer.lr = 'fast'"),
        ("loop.epochs=0", "loop.epochs = 0"),
        ("batch=-1", "batch = -1"),
        ("seed=-1", "seed = -1"),
        ("seed=18446744073709551616", "seed = "),
        ("trackers=[neptune]", "trackers.0 = 'neptune'"),
        ("runtime.precision=fp16", "runtime.precision = 'fp16'"),
        ("sampling.kind=class-aware", "sampling.kind = 'class-aware' is not a known kind; did you mean 'class_aware'"),
        ("sampling.empty_share=1", "sampling.empty_share = 1"),
    ],
)
def test_a_wrong_setting_is_named(assignment: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        config.override(named("nanodet-debug"), [assignment])


def test_another_kind_starts_from_its_own_defaults() -> None:
    run = config.override(
        named("nanodet-debug"), ["optimizer.lr=0.05", "optimizer.kind=sgd", "schedule.kind=multistep"]
    )
    assert run.optimizer == SgdConfig(lr=0.05)
    assert run.schedule == MultiStepSchedule()
    back = config.override(run, ["optimizer.kind=adamw"])
    assert back.optimizer == AdamWConfig()


def test_a_file_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no\.yaml: cannot be read"):
        read_run(tmp_path / "no.yaml")
    (tmp_path / "twice.yaml").write_text("seed: 1\nseed: 2\n")
    with pytest.raises(UsageError, match=r"twice\.yaml: not readable as YAML"):
        read_run(tmp_path / "twice.yaml")
    (tmp_path / "bare.yaml").write_text("recipe: mine\n")
    with pytest.raises(UsageError, match="model"):
        read_run(tmp_path / "bare.yaml")


def test_with_data_changes_the_data_only() -> None:
    run = named("nanodet-debug")
    changed = run.with_data(path="birds", train="first")
    assert isinstance(changed, Run)
    assert (changed.data.path, changed.data.train, changed.data.val) == ("birds", "first", "val")
    assert changed.with_data(path="", train="train") == run
