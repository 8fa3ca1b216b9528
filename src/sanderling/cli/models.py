"""`sanderling models` and `sanderling models show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sanderling.cli import options, printing

if TYPE_CHECKING:
    from sanderling.reporting.tables import Table


def models(
    context: typer.Context,
    *,
    recipes: Annotated[
        bool, typer.Option("--recipes", help="Those that train models in another way than the default.")
    ] = False,
    json: options.Json = None,
) -> None:
    """List the detectors of the zoo, or the recipes.

    Parameters and multiply-adds are counted as their authors counted them, at
    the input size. Where a verb takes a recipe, a model's name is the default
    one for it; --recipes lists the others: MODEL-published for what its authors
    did, and ppyolo-small.

    Examples:
        sanderling models
        sanderling models --json -
        sanderling models --recipes
        sanderling models show nanodet-m

    Exit codes: 0 listed, 2 wrong use, 7 --recipes needs the extra [train].
    """
    if context.invoked_subcommand is not None:
        return
    from sanderling.commands.models import list_models, list_recipes

    found = list_recipes() if recipes else list_models()
    if not printing.for_people(found, json):
        return
    if recipes:
        printing.show(_recipes(found))
    else:
        from sanderling.reporting.tables import models_table

        printing.show(models_table(found))
        printing.say("each can be trained by its name; further recipes: sanderling models --recipes")


def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model or recipe, a run or a weights file.")],
    *,
    json: options.Json = None,
) -> None:
    """Show one model stage by stage.

    Parameters, multiply-adds and the shape of the outputs of every stage.

    Examples:
        sanderling models show nanodet-m
        sanderling models show runs/train/nanodet-m --json -

    Exit codes: 0 shown, 2 no such name, 4 not a model, 7 the extra [train] is
    not installed.
    """
    from sanderling.commands.models import show_model

    model = show_model(name)
    if printing.for_people(model, json):
        printing.show(_stages(model))
        printing.show(_facts(model))


def _recipes(found: list[dict[str, Any]]) -> Table:
    from sanderling.reporting.tables import Column, Table, size_text

    return Table(
        title="Recipes",
        columns=(
            Column(name="name"),
            Column(name="input"),
            Column(name="epochs", kind="whole"),
            Column(name="batch", kind="whole"),
            Column(name="about"),
        ),
        rows=tuple(
            (entry["name"], size_text(entry["input"]), entry["epochs"], entry["batch"], entry["about"])
            for entry in found
        ),
        note="names for train, data preview, ablate and weights distill",
    )


def _stages(model: dict[str, Any]) -> Table:
    from sanderling.reporting.tables import Column, Table, size_text

    total = {"name": "total", "parameters": model["parameters"], "macs": model["macs"], "outputs": ()}
    return Table(
        title=f"{model['name']} at {size_text(model['input'])}",
        columns=(
            Column(name="stage"),
            Column(name="parameters", kind="whole"),
            Column(name="multiply-adds, M", kind="number"),
            Column(name="outputs"),
        ),
        rows=tuple(
            (stage["name"], stage["parameters"], stage["macs"] / 1e6, ", ".join(stage["outputs"]))
            for stage in (*model["stages"], total)
        ),
    )


def _facts(model: dict[str, Any]) -> Table:
    from sanderling.reporting.tables import facts_table

    published = model["published"] or {}
    parameters, macs, ap, ap50 = (published.get(key) for key in ("parameters", "macs", "ap", "ap50"))
    facts = {
        "family": model["family"],
        "classes": model["classes"],
        **{name: f"{part['kind']}: {part['source']}" for name, part in model["parts"].items()},
        "published parameters": parameters and f"{parameters:,.0f}",
        "published multiply-adds": macs and f"{macs / 1e6:,.1f} M",
        "published AP": ap and f"{100 * ap:.1f} %",
        "published AP50": ap50 and f"{100 * ap50:.1f} %",
        "source of these": model["published_source"],
        "note": model["note"],
        "weights": ", ".join(model["pretrained"] or ()),
    }
    return facts_table("what is known of it", {name: fact for name, fact in facts.items() if fact not in (None, "")})
