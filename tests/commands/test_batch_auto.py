from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from sanderling import config
from sanderling.commands import batch_auto
from sanderling.commands.batch_auto import BatchChoice, Demand, choices, planned_within_memory
from sanderling.commands.batch_probe import DoesNotFitError, Probe, ProbeRequest
from sanderling.commands.train_plan import TrainWishes
from sanderling.errors import DataError, RunError, UsageError
from sanderling.memory import Memory
from sanderling.recipes.named import named
from sanderling.recipes.run import Run

MB = 10**6
PICTURE = 3 * 320 * 320


class Machine:
    """What a training would hold here: so much, and so much more for each picture; it notes what is measured."""

    def __init__(
        self,
        *,
        fixed: int = 600 * MB,
        per_picture: int = 60 * MB,
        step: int = 16,
        pictures: int = 1000,
        most: int = 10**15,
        bend: Callable[[int], float] = float,
        device_free: int | None = None,
    ) -> None:
        self.fixed, self.per_picture, self.step, self.pictures = fixed, per_picture, step, pictures
        self.most, self.bend, self.device_free = most, bend, device_free
        self.measured: list[int] = []

    def peak(self, batch: int) -> int:
        return self.fixed + int(self.per_picture * self.bend(batch))

    def __call__(self, request: ProbeRequest, batch: int) -> Probe:
        assert batch not in self.measured, "each batch is measured once"
        self.measured.append(batch)
        if self.peak(batch) > self.most:
            raise DoesNotFitError("the process was ended by SIGKILL")
        return Probe(
            batch=batch,
            step=self.step,
            pictures=self.pictures,
            picture_bytes=PICTURE,
            before=self.fixed - 100 * MB,
            peak=self.peak(batch),
            addresses=self.peak(batch) + 3000 * MB,
            device_free=self.device_free,
        )


@pytest.fixture(autouse=True)
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 100 GB and no other limits, which trains alone."""
    monkeypatch.setattr(batch_auto, "available_memory", lambda: Memory(size=100_000 * MB, reason="it has free"))
    monkeypatch.setattr(batch_auto, "address_space_limit", lambda: None)
    monkeypatch.delenv("WORLD_SIZE", raising=False)


def _plan(machine: Machine, memory: str | None = "4GB", run: str = "nanodet-m", **wishes: object) -> Run:
    request = ProbeRequest(run=run, wishes=TrainWishes(data="birds", **wishes))  # type: ignore[arg-type]
    return planned_within_memory(request, memory=memory, measure=machine)


def test_much_memory_and_many_pictures_give_four_times_the_recipe(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine(pictures=5000)
    with caplog.at_level(logging.INFO):
        run = _plan(machine, "16GB")
    assert (run.batch, run.loop.accumulate, run.data.path) == (64, 1, "birds")
    assert run.optimizer.lr == pytest.approx(2 * named("nanodet-m").optimizer.lr)
    assert machine.measured == [2, 16, 64]
    assert "600 MB, and 60 MB for each picture of a batch; the budget is 16.00 GB (--memory 16GB)" in caplog.text
    assert "batch 64: 4 times the 16 of fine-tune are the most" in caplog.text
    assert "instead of 0.003, as a step has 64 pictures, not 16" in caplog.text
    assert "64 pictures hold 4.44 GB at most" in caplog.text


def test_a_small_data_set_keeps_steps_in_an_epoch(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        run = _plan(Machine(pictures=205), "16GB")
    assert run == named("nanodet-m").with_data(path="birds")
    assert "batch 16: more would leave fewer than 20 steps an epoch" in caplog.text
    assert "learning rate 0.003, as it is for 16 pictures a step" in caplog.text


def test_what_does_not_fit_at_once_is_accumulated(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        run = _plan(Machine(step=192, pictures=5000), "4GB", run="nanodet-m-published")
    # 0.9 of 4 GB leave 3 GB, room for 50 pictures; of the divisors of 192 that is 48.
    assert (run.batch, run.loop.accumulate) == (48, 4)
    assert run.optimizer.lr == named("nanodet-m-published").optimizer.lr
    assert "batch 48, 4 of which make a step of 192 together: 64 at once would not stay within it" in caplog.text


def test_pictures_that_wait_for_their_turn_take_room_too() -> None:
    # 32 pictures hold 0.9 of 2.5 GB but for 10 MB; the other 160 of the step are 49 MB.
    machine = Machine(fixed=2240 * MB - 32 * 60 * MB, step=192, pictures=5000)
    run = _plan(machine, "2.5GB", run="nanodet-m-published")
    assert (run.batch, run.loop.accumulate) == (24, 8)


def test_fewer_pictures_than_the_recipe_has(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        run = _plan(Machine(step=192, pictures=100), "40GB", run="nanodet-m-published")
    assert (run.batch, run.loop.accumulate) == (96, 1)
    # SGD's rate goes in proportion.
    assert run.optimizer.lr == pytest.approx(0.07)
    assert "the data set has fewer pictures than the 192 of nanodet-published" in caplog.text
    assert "learning rate 0.07 instead of 0.14" in caplog.text


@pytest.mark.parametrize("fixed", [300, 900])
@pytest.mark.parametrize("per_picture", [7, 61, 380])
@pytest.mark.parametrize("memory", [1000, 2900, 17_000])
def test_the_choice_is_the_best_option_that_fits(fixed: int, per_picture: int, memory: int) -> None:
    machine = Machine(fixed=fixed * MB, per_picture=per_picture * MB, step=192, pictures=30_000)

    def fits(option: BatchChoice) -> bool:
        waiting = (option.step - option.batch) * PICTURE
        return machine.peak(option.batch) + waiting <= 0.9 * memory * MB

    expected = next((option for option in choices(192, 30_000) if fits(option)), None)
    if expected is None:
        with pytest.raises(RunError, match="out of memory at batch 1"):
            _plan(machine, f"{memory}MB", run="nanodet-m-published")
        return
    run = _plan(machine, f"{memory}MB", run="nanodet-m-published")
    assert (run.batch, run.loop.accumulate) == (expected.batch, expected.accumulate)
    assert len(machine.measured) <= 3
    # Beside the first two pictures nothing that was measured on the way was beyond the budget either.
    assert all(machine.peak(batch) <= memory * MB for batch in machine.measured[1:])


def test_a_line_that_was_too_hopeful_is_corrected_by_the_probe_of_the_choice() -> None:
    # Memory that grows faster than the pictures: twice as much for each beyond 16.
    machine = Machine(pictures=50_000, bend=lambda batch: batch + max(0, batch - 16))
    run = _plan(machine, "5GB")
    assert machine.measured[:3] == [2, 16, 64]
    assert run.batch in (32, 48)
    assert machine.peak(run.batch) <= 0.9 * 5000 * MB


def test_a_probe_that_is_killed_is_a_batch_that_does_not_fit() -> None:
    machine = Machine(pictures=50_000, most=3000 * MB)
    assert _plan(machine, "10GB").batch == 32
    assert machine.measured[:3] == [2, 16, 64]


def test_one_picture_is_tried_where_two_do_not_fit() -> None:
    machine = Machine(fixed=500 * MB, per_picture=900 * MB, most=1500 * MB)
    run = _plan(machine, "1.6GB")
    assert (run.batch, run.loop.accumulate) == (1, 16)
    assert machine.measured == [2, 1]


def test_not_even_one_picture_fits() -> None:
    with pytest.raises(
        RunError,
        match=r"a single picture takes 1\.40 GB of memory, 500 MB of it whatever the batch; the budget is 1\.20 GB "
        r"\(--memory 1\.2GB\).*smaller --imgsz",
    ) as caught:
        _plan(Machine(fixed=600 * MB, per_picture=850 * MB), "1.2GB")
    assert caught.value.exit_code == 6
    with pytest.raises(RunError, match=r"out of memory at batch 1 \(the process was ended by SIGKILL\); the budget is"):
        _plan(Machine(most=600 * MB), "4GB")


def test_the_limit_of_addresses_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_auto, "address_space_limit", lambda: 5200 * MB)
    # 3600 MB and 60 MB a picture of the 4680 MB that may be used: 18 pictures.
    assert _plan(Machine(pictures=50_000), None).batch == 16
    monkeypatch.setattr(batch_auto, "address_space_limit", lambda: 3700 * MB)
    with pytest.raises(RunError, match=r"takes 3\.6\d GB of addresses, and ulimit -v allows 3\.70 GB\. Up to 90% is"):
        _plan(Machine(pictures=50_000), None)


def test_without_a_budget_most_of_what_is_free_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_auto, "available_memory", lambda: Memory(size=2500 * MB, reason="it has free"))
    # 0.8 * 0.9 * 2500 = 1800 MB: 20 pictures.
    assert _plan(Machine(pictures=50_000), None).batch == 16


def test_on_a_gpu_its_own_memory_counts(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        run = _plan(Machine(pictures=50_000, device_free=4000 * MB), None)
    assert run.batch == 32
    assert "3.20 GB (80% of the 4.00 GB that the GPU has free)" in caplog.text


def _saved(folder: Path, run: Run) -> str:
    (folder / "run.yaml").write_text(config.dump(run), encoding="utf-8")
    return str(folder / "run.yaml")


def test_a_file_keeps_its_step_and_its_rate_follows_where_it_cannot(tmp_path: Path) -> None:
    file = _saved(tmp_path, config.override(named("nanodet-debug"), ["batch=12", "loop.accumulate=4"]))
    base = named("nanodet-debug").optimizer.lr
    whole = _plan(Machine(step=48, pictures=500), "9GB", run=file)
    assert (whole.batch, whole.loop.accumulate, whole.optimizer.lr) == (48, 1, base)
    few = _plan(Machine(step=48, pictures=12), "9GB", run=file)
    assert few.batch == 12
    assert few.optimizer.lr == pytest.approx(base / 2)


@pytest.mark.parametrize("assignment", ["batch=4", "loop.accumulate=2"])
def test_a_batch_given_twice_is_refused(assignment: str) -> None:
    with pytest.raises(UsageError, match=f"--set {assignment} and --batch auto: leave one of the two out"):
        _plan(Machine(), assignments=(assignment,))


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(UsageError, match=r"measures a single process, and 4 train together; .* 4 times what it found"):
        _plan(Machine())


def test_what_is_wrong_with_the_run_is_said_as_ever() -> None:
    def broken(request: ProbeRequest, batch: int) -> Probe:
        raise DataError("birds: no data set here")

    with pytest.raises(DataError, match="no data set here"):
        planned_within_memory(ProbeRequest(run="nanodet-m", wishes=TrainWishes()), memory="4GB", measure=broken)
    with pytest.raises(UsageError, match="a size is expected"):
        _plan(Machine(), "much")


@pytest.mark.parametrize(
    ("step", "pictures", "expected"),
    [
        (16, 205, [(16, 1), (8, 2), (4, 4), (2, 8), (1, 16)]),
        (16, 320 * 3, [(48, 1), (32, 1), (16, 1), (8, 2), (4, 4), (2, 8), (1, 16)]),
        (100, 1, [(1, 1)]),
        (100, 50, [(48, 1), (24, 2), (16, 3), (12, 4), (8, 6), (6, 8), (4, 12), (3, 16), (2, 24), (1, 48)]),
        (7, 7, [(7, 1), (1, 7)]),
    ],
)
def test_options(step: int, pictures: int, expected: list[tuple[int, int]]) -> None:
    assert [(option.batch, option.accumulate) for option in choices(step, pictures)] == expected


def test_more_pictures_never_take_less() -> None:
    assert Demand.through((2, 700.0), (8, 650.0)) == Demand(fixed=650.0, per_picture=0.0)
