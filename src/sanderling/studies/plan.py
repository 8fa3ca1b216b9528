"""What an ablation would do, told before anything is trained: its steps, what each changes, how long it takes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sanderling import config
from sanderling.reporting.tables import Column, Table
from sanderling.studies.ablation import Ablation


def plan_plain(ablation: Ablation) -> dict[str, Any]:
    """The plan as plain values; `minutes` is None where no time was asked for.

    >>> from sanderling.recipes.named import named
    >>> from sanderling.studies.ablation import plan_ablation
    >>> plain = plan_plain(plan_ablation(named("ppyolo-small"), ["spp"], mode="ladder", seeds=3, minutes=2))
    >>> plain["trainings"], plain["minutes"], plain["steps"][1]["changes"]
    (6, 12.0, {'model.neck.pyramid_pool': True})
    """
    steps: list[dict[str, Any]] = []
    for place, step in enumerate(ablation.steps):
        trains = ablation.weights_of(place) == place
        minutes = None if ablation.minutes is None else ablation.minutes * ablation.length_of(place)
        before = None if step.before is None else ablation.steps[step.before].run
        steps.append(
            {
                "name": step.name,
                "letter": step.letter,
                "changes": {} if before is None else dict(_changes(config.plain(before), config.plain(step.run))),
                "weights_of": ablation.steps[ablation.weights_of(place)].name,
                "trainings": len(ablation.seeds) if trains else 0,
                "minutes_each": minutes if trains else None,
            }
        )
    times = [step["trainings"] * step["minutes_each"] for step in steps if step["minutes_each"] is not None]
    return {
        "mode": ablation.mode,
        "seeds": list(ablation.seeds),
        "steps": steps,
        "trainings": sum(step["trainings"] for step in steps),
        "minutes": sum(times) if times else None,
        "baseline": config.plain(ablation.steps[0].run),
    }


def plan_table(ablation: Ablation) -> Table:
    """The plan for people."""
    plain = plan_plain(ablation)
    rows = tuple(
        (
            step["letter"],
            step["name"],
            ", ".join(f"{key}={json.dumps(value)}" for key, value in step["changes"].items()),
            step["trainings"] or f"weights of {step['weights_of']}",
            step["minutes_each"],
        )
        for step in plain["steps"]
    )
    note = f"{plain['trainings']} trainings"
    if plain["minutes"] is None:
        note += "; how long they take is known after the first, or set with --minutes"
    else:
        note += (
            f", about {plain['minutes']:.0f} minutes one after another; before them a few epochs of each step are "
            "timed, and after them latencies are measured"
        )
    return Table(
        title="Plan",
        columns=(
            Column(name="row"),
            Column(name="switches"),
            Column(name="changes"),
            Column(name="trainings", kind="whole"),
            Column(name="minutes each", kind="number"),
        ),
        rows=rows,
        note=note,
    )


def _changes(before: Any, after: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Key and new value wherever two runs differ; of a part that gives way to one of another kind, the kind alone."""
    same_part = isinstance(before, Mapping) and isinstance(after, Mapping)
    if same_part and before.get("kind") == after.get("kind"):
        for name in {**before, **after}:
            yield from _changes(before.get(name), after.get(name), f"{key}.{name}" if key else name)
    elif same_part:
        yield f"{key}.kind", after.get("kind")
    elif before != after:
        yield key, after
