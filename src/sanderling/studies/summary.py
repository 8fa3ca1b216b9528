"""What the runs of an ablation say: means and spreads over the seeds, and what each step is worth."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sanderling.analysis.cost import Cost, measure_cost
from sanderling.models.network import DetectorConfig
from sanderling.reporting.tables import Column, Table
from sanderling.structures.artefact import PostprocessRule
from sanderling.studies.ablation import Ablation
from sanderling.studies.equal_time import SAME_EPOCHS, TIMED_EPOCHS
from sanderling.studies.series import Place, Results, ordered

_NAMED = 6
"""Of many changes of the baseline, so many are written out; `ablation.json` holds them all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A mean and its standard deviation (of single runs; None with fewer than two); None without any."""

    mean: float | None
    spread: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure:
        """Over some runs.

        >>> Figure.of([0.25, 0.75]).mean
        0.5
        """
        return cls(
            mean=statistics.mean(values) if values else None,
            spread=statistics.stdev(values) if len(values) > 1 else None,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Latency:
    """Medians of one network on the processor, one picture at a time."""

    network_ms: float
    end_to_end_ms: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One step.

    Attributes:
        name: of the step.
        letter: of its row in a published table, may be empty.
        runs: that were finished.
        ap: AP, a fraction.
        ap50: AP at IoU 0.5.
        delta: of AP to the step it stands on, seed by seed, with the spread of these differences.
        published_ap: of the same row, as its authors give it.
        published_delta: to the published row it stands on.
        parameters: of the network.
        macs: multiply-adds at the network's input size.
        latency: where it was measured.
        minutes: wall time of a training; None where there was none.
        epochs: of the training whose weights are measured.
        errors: of runs that failed.
    """

    name: str
    letter: str
    runs: int
    ap: Figure
    ap50: Figure
    delta: Figure
    published_ap: float | None
    published_delta: float | None
    parameters: int
    macs: int
    latency: Latency | None
    minutes: float | None
    epochs: int | None
    errors: tuple[str, ...]


def costs_of(ablation: Ablation) -> list[Cost]:
    """Of every step, in their order.

    Raises:
        ModelError: a step's network cannot be built.
    """
    # Most switches leave the network as it is.
    known: dict[DetectorConfig, Cost] = {}
    networks = [dataclasses.replace(step.run.model, postprocess=PostprocessRule()) for step in ablation.steps]
    for network in networks:
        if network not in known:
            known[network] = measure_cost(network)
    return [known[network] for network in networks]


def summarise(
    ablation: Ablation, results: Results, costs: Sequence[Cost], latencies: Mapping[int, Latency] | None = None
) -> list[Row]:
    """A row per step.

    Args:
        ablation: what was asked for.
        results: what is finished or failed so far.
        costs: of every step.
        latencies: by place of the step.
    """
    rows = []
    for place, found in ordered(ablation, results):
        step = ablation.steps[place]
        before = None if step.before is None else ablation.steps[step.before]
        finished = [result for result in found if result.metrics is not None]
        trained = [result for result in finished if result.epoch_s]
        weights_of = ablation.weights_of(place)
        made = [key for seed in ablation.seeds if (key := Place(weights_of, seed)) in results and results[key].epoch_s]
        published = (step.published_ap, None if before is None else before.published_ap)
        rows.append(
            Row(
                name=step.name,
                letter=step.letter,
                runs=len(finished),
                ap=Figure.of(_all(ablation, results, place, "AP")),
                ap50=Figure.of(_all(ablation, results, place, "AP50")),
                delta=Figure.of(_differences(ablation, results, place)),
                published_ap=published[0],
                published_delta=None if published[0] is None or published[1] is None else published[0] - published[1],
                parameters=costs[place].parameters,
                macs=costs[place].macs,
                latency=(latencies or {}).get(place),
                minutes=statistics.mean(result.seconds for result in trained) / 60 if trained else None,
                epochs=len(results[made[0]].epoch_s) if finished and made else None,
                errors=tuple(result.error for result in found if result.error is not None),
            )
        )
    return rows


def ablation_table(ablation: Ablation, rows: Sequence[Row]) -> Table:
    """The rows for people."""
    what = "the row above" if ablation.mode == "ladder" else "the baseline"
    published = any(row.published_ap is not None for row in rows)
    columns = (
        Column(name="row"),
        Column(name="switches"),
        Column(name="runs", kind="whole"),
        Column(name="AP, %", kind="percent"),
        Column(name="spread", kind="percent"),
        Column(name="delta", kind="percent"),
        Column(name="its spread", kind="percent"),
        Column(name="published", kind="percent"),
        Column(name="its delta", kind="percent"),
        Column(name="AP50, %", kind="percent"),
        Column(name="parameters", kind="whole"),
        Column(name="MACs, M", kind="number"),
        Column(name="network, ms", kind="number", digits=2),
        Column(name="end to end, ms", kind="number", digits=2),
        Column(name="minutes", kind="number"),
        Column(name="epochs", kind="whole"),
        Column(name="failed"),
    )
    cells = [
        (
            row.letter,
            row.name,
            row.runs,
            row.ap.mean,
            row.ap.spread,
            row.delta.mean,
            row.delta.spread,
            row.published_ap,
            row.published_delta,
            row.ap50.mean,
            row.parameters,
            row.macs / 1e6,
            None if row.latency is None else row.latency.network_ms,
            None if row.latency is None else row.latency.end_to_end_ms,
            row.minutes,
            row.epochs,
            "; ".join(dict.fromkeys(row.errors)),
        )
        for row in rows
    ]
    # Columns that say nothing in any row are left out.
    shown = [at for at in range(len(columns)) if at < 4 or any(cell[at] not in (None, "") for cell in cells)]
    if not any(row.letter for row in rows):
        shown = shown[1:]
    return Table(
        title="Ablation",
        columns=tuple(columns[at] for at in shown),
        rows=tuple(tuple(cell[at] for at in shown) for cell in cells),
        note=_note(ablation, what=what, published=published),
    )


def _note(ablation: Ablation, *, what: str, published: bool) -> str:
    """What the figures are."""
    notes = [f"delta: to {what}, seed by seed"]
    if len(ablation.seeds) > 1:
        notes.append(f"spread: standard deviation over {len(ablation.seeds)} seeds")
    if ablation.minutes is not None:
        notes.append(
            f"epochs: as many as fit into {ablation.minutes:g} minutes (a longer schedule in proportion), told by "
            f"timing {TIMED_EPOCHS}; where that is within {SAME_EPOCHS:.0%} of the epochs of the step it is compared "
            "with, it has these, and other minutes"
        )
    if published:
        notes.append(f"published: {ablation.source}")
        if changes := ablation.baseline_changes:
            more = f" and {len(changes) - _NAMED} more" if len(changes) > _NAMED else ""
            notes.append(f"and not for our baseline, which is another one: {', '.join(changes[:_NAMED])}{more}")
    return "; ".join(notes)


def _all(ablation: Ablation, results: Results, place: int, metric: str) -> list[float]:
    values = (_value(results, Place(place, seed), metric) for seed in ablation.seeds)
    return [value for value in values if value is not None]


def _differences(ablation: Ablation, results: Results, place: int) -> list[float]:
    """Of AP, over the seeds that both steps have."""
    before = ablation.steps[place].before
    if before is None:
        return []
    pairs = (
        (_value(results, Place(place, seed), "AP"), _value(results, Place(before, seed), "AP"))
        for seed in ablation.seeds
    )
    return [ours - theirs for ours, theirs in pairs if ours is not None and theirs is not None]


def _value(results: Results, place: Place, metric: str) -> float | None:
    result = results.get(place)
    return None if result is None or result.metrics is None else result.metrics.get(metric)
