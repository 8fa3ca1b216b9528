"""The verbs put together, and the options that stand before a verb."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from sanderling import __version__
from sanderling.cli import ablate, bench, data, demo, export, models, predict, train, val, weights
from sanderling.cli.verb import Verb, VerbGroup

_NAME = "sanderling"


def command() -> Any:
    """The whole command line, ready to be called with words."""
    app = _group(sanderling, demo.demo)
    app.add_typer(
        _group(data.data, data.check, data.stats, data.convert, data.split, data.anchors, data.preview), name="data"
    )
    app.add_typer(_group(models.models, models.show, lists=True), name="models")
    app.add_typer(_group(weights.weights, weights.import_, weights.distill), name="weights")
    for verb in (train.train, val.val, predict.predict, export.export, bench.bench, ablate.ablate):
        _add(app, verb)
    return typer.main.get_command(app)


def sanderling(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say only warnings and errors.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Say more, and show tracebacks.")] = False,
) -> None:
    """From labelled pictures to a measured object detector on a small device.

    Examples:
        sanderling demo                           the whole path, in minutes
        sanderling data check birds/              every fault of a data set
        sanderling train nanodet-m --data birds/  weights and a report
        sanderling val runs/train/nanodet-m --data birds/
        sanderling export runs/train/nanodet-m    an artefact without torch
        sanderling predict runs/export/nanodet-m/nanodet-m.onnx pictures/

    Results go to standard output, words to standard error. Exit codes: 0 done,
    1 findings or a bound missed, 2 wrong use, 3 data, 4 model or artefact,
    5 export, 6 run failed, 7 something is not installed, 70 internal error,
    130 interrupted.
    """
    if version:
        print(f"{_NAME} {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        raise typer.BadParameter("no verb is named; see: sanderling --help")
    _print_any_text()
    _log_to_standard_error(logging.DEBUG if debug else logging.WARNING if quiet else logging.INFO)


def _group(callback: Callable[..., None], *verbs: Callable[..., None], lists: bool = False) -> typer.Typer:
    """Verbs under a callback; one that `lists` does so when no verb is named."""
    group = typer.Typer(
        cls=VerbGroup,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=not lists,
        invoke_without_command=True,
        context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]},
    )
    group.callback()(callback)
    for verb in verbs:
        _add(group, verb)
    return group


def _add(group: typer.Typer, verb: Callable[..., None]) -> None:
    group.command(name=verb.__name__.rstrip("_"), cls=Verb)(verb)


class _Words(logging.Formatter):
    """Information as it is; anything graver with its level before it."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if record.levelno == logging.INFO else f"{record.levelname.lower()}: {text}"


def _print_any_text() -> None:
    """File names may hold what the terminal's encoding does not: it is printed as an escape instead of failing."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


class _StandardError(logging.Handler):
    """Prints to what standard error is at that moment: a progress bar puts itself in between while it shows."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr)


def _log_to_standard_error(level: int) -> None:
    handler = _StandardError()
    handler.setFormatter(_Words())
    logger = logging.getLogger(_NAME)
    logger.handlers[:] = [handler]
    # Of the processes of one run, the first speaks for all.
    logger.setLevel(level if os.environ.get("RANK", "0") == "0" else max(level, logging.ERROR))
