"""What several verbs take, and how their reports are printed."""

from __future__ import annotations

import json
from typing import Annotated

import typer

RecipeArgument = Annotated[str, typer.Argument(help="A recipe (YAML file).", metavar="RECIPE")]
TargetArgument = Annotated[str, typer.Argument(help="A recipe, a run folder or a model folder.", metavar="TARGET")]
ModelArgument = Annotated[str, typer.Argument(help="A model folder, a run folder or a recipe.", metavar="MODEL")]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="Settings of the recipe to change.", metavar="KEY.PATH=VALUE")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def print_report(report: object, as_json: bool) -> None:
    """A report prints itself, or its JSON."""
    if as_json:
        typer.echo(json.dumps(report.to_json(), ensure_ascii=False, indent=1))  # type: ignore[attr-defined]
    else:
        typer.echo(str(report))
