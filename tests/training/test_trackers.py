from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sanderling.errors import MissingDependencyError
from sanderling.training import trackers
from sanderling.training.trackers import open_trackers, require_trackers, scalars

_RECORD: dict[str, Any] = {
    "epoch": 3,
    "time_s": 1.0,
    "lr": 0.5,
    "losses": {"box": 0.25, "total": 0.75},
    "pictures_per_s": 8.0,
    "skipped_steps": 0,
    "metrics": {"AP": 0.125, "AP_large": None},
}
_FLAT = {"loss/box": 0.25, "loss/total": 0.75, "metrics/AP": 0.125, "lr": 0.5, "pictures_per_s": 8.0}


def test_scalars_leave_out_what_was_not_measured() -> None:
    assert scalars(_RECORD) == _FLAT
    assert "metrics/AP" not in scalars({**_RECORD, "metrics": None})


def test_tensorboard_files_can_be_read_back(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (tracker,) = open_trackers(["tensorboard", "tensorboard"], tmp_path, run_name="run", settings={})
    tracker.epoch_started(3, epochs=5, batches=1)
    tracker.stepped({}, pictures=2)
    tracker.epoch_ended(_RECORD)
    tracker.closed()
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 1
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert {
        name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]
    } == {name: [(3, value)] for name, value in _FLAT.items()}


def test_tensorboard_is_left_out_with_a_word_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with caplog.at_level("INFO"):
        assert open_trackers(["tensorboard"], tmp_path, run_name="run", settings={}) == []
    assert "pip install tensorboard" in caplog.text


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_tracker_that_was_asked_for_and_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: Any
) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda package: None)
    for ask in (
        lambda: require_trackers([name]),
        lambda: open_trackers([name], tmp_path, run_name="run", settings={}),
    ):
        with pytest.raises(MissingDependencyError, match=f"'{name}', which is not installed; run: pip install {name}"):
            ask()
    assert list(tmp_path.iterdir()) == []


def _stand_in(monkeypatch: pytest.MonkeyPatch, name: str) -> tuple[ModuleType, list[Any]]:
    module, calls = ModuleType(name), []  # type: tuple[ModuleType, list[Any]]
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(trackers, "find_spec", lambda package: object())
    return module, calls


def test_mlflow_is_told_of_run_settings_and_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, calls = _stand_in(monkeypatch, "mlflow")
    for name in ("start_run", "log_dict", "log_metrics", "end_run"):
        setattr(module, name, lambda *given, _name=name, **named: calls.append((_name, given, named)))
    (tracker,) = open_trackers(["mlflow"], tmp_path, run_name="night", settings={"batch": 4})
    tracker.epoch_ended(_RECORD)
    tracker.closed()
    assert calls == [
        ("start_run", (), {"run_name": "night"}),
        ("log_dict", ({"batch": 4}, "run.yaml"), {}),
        ("log_metrics", (_FLAT,), {"step": 3}),
        ("end_run", (), {}),
    ]


def test_wandb_is_told_of_run_settings_and_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, calls = _stand_in(monkeypatch, "wandb")

    class _Run:
        def log(self, values: dict[str, float], *, step: int) -> None:
            calls.append((values, step))

        def finish(self) -> None:
            calls.append("finished")

    def init(**named: Any) -> _Run:
        calls.append(named)
        return _Run()

    module.init = init  # type: ignore[attr-defined]
    (tracker,) = open_trackers(["wandb"], tmp_path, run_name="night", settings={"batch": 4})
    tracker.epoch_ended(_RECORD)
    tracker.closed()
    assert calls == [
        {"project": "sanderling", "name": "night", "dir": str(tmp_path), "config": {"batch": 4}},
        (_FLAT, 3),
        "finished",
    ]
