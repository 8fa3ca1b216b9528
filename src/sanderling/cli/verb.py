"""A verb of the command line: its function's docstring is its help, printed as it is written."""

from __future__ import annotations

import inspect
from typing import Any

from typer.core import TyperCommand, TyperGroup

from sanderling.cli.arguments import as_options


class Verb(TyperCommand):
    """One verb; it also understands the spellings of other tools."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words behind the verb."""
        takes_value = {
            name: not getattr(param, "is_flag", False)
            for param in self.params
            for name in (*param.opts, *param.secondary_opts)
            if name.startswith("-")
        }
        return super().parse_args(ctx, as_options(args, takes_value))

    def format_help_text(self, _: Any, formatter: Any) -> None:
        """Print the docstring, examples and all, without filling its lines anew."""
        _write(self.help, formatter)


class VerbGroup(TyperGroup):
    """Verbs under a common name."""

    def format_help_text(self, _: Any, formatter: Any) -> None:
        """Print the docstring as it is written."""
        _write(self.help, formatter)


def _write(text: str | None, formatter: Any) -> None:
    formatter.write("\n")
    for line in inspect.cleandoc(text or "").splitlines():
        formatter.write(f"  {line}".rstrip() + "\n")
