"""The verbs of `groundup data`."""

from __future__ import annotations

from typing import Annotated

import typer

from groundup.cli.options import AsJson, Overrides, RecipeArgument, print_report

data_app = typer.Typer(
    help="Data sets, and the text a recipe learns from: look at them, prepare it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@data_app.command(
    "prepare",
    short_help="Turn text into token shards.",
    epilog="Example: groundup data prepare recipes/pretrain-en.yaml",
)
def data_prepare(recipe: RecipeArgument, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Turn text into token shards ahead of training. Killed and started again, it continues."""
    from groundup.verbs.data import prepare as run

    print_report(run(recipe, overrides or ()), as_json)


@data_app.command(
    "tokenizer",
    short_help="Train or load the tokenizer; how well does it fit?",
    epilog="Example: groundup data tokenizer recipes/pretrain-zh.yaml",
)
def data_tokenizer(recipe: RecipeArgument, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Train or load the recipe's tokenizer: tokens per word and character, what it cannot write, examples."""
    from groundup.verbs.data import tokenizer as run

    print_report(run(recipe, overrides or ()), as_json)


@data_app.command(
    "show",
    short_help="Decode what a step trains on.",
    epilog="Example: groundup data show recipes/pretrain-zh.yaml --count 3",
)
def data_show(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    count: Annotated[int, typer.Option(min=1, help="Sequences to show.")] = 5,
    step: Annotated[int, typer.Option(min=0, help="The step whose batch is shown.")] = 0,
    html: Annotated[str | None, typer.Option(help="Draw it as a page, in this file.", metavar="FILE")] = None,
    as_json: AsJson = False,
) -> None:
    """Decode the very batch that a step trains on, corruption and targets marked."""
    from groundup.verbs.data import show as run
    from groundup.verbs.show import write_page

    report = run(recipe, overrides or (), count=count, step=step)
    if html is not None:
        write_page(report, str(recipe), html)
    print_report(report, as_json)


@data_app.command(
    "list",
    short_help="Data sets that are known by name.",
    epilog="Example: groundup data list --folder my-data",
)
def data_list(
    folder: Annotated[
        str | None, typer.Option(help="Where to look, if not in GROUNDUP_DATA.", metavar="FOLDER")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Data sets that are known by name: language, task, official metric, and which splits are there."""
    from groundup.verbs.data_sets import list_data as run

    print_report(run(folder), as_json)


@data_app.command(
    "check",
    short_help="What is in a data set, or in files of your own.",
    epilog="Example: groundup data check train.csv test.csv --text sentence",
)
def data_check(
    targets: Annotated[
        list[str], typer.Argument(help="A name, or files, the first to learn from.", metavar="NAME|FILE")
    ],
    folder: Annotated[str | None, typer.Option(help="Where it is, if not in GROUNDUP_DATA.", metavar="FOLDER")] = None,
    text: Annotated[str, typer.Option(help="The column of the text, by name or number.")] = "text",
    pair: Annotated[str | None, typer.Option(help="The column of the second text.")] = None,
    label: Annotated[str, typer.Option(help="The column of the label.")] = "label",
    separator: Annotated[
        str | None, typer.Option(help="What stands between several labels of a row; json for a list.")
    ] = None,
    header: Annotated[bool, typer.Option(help="Whether the first line names the columns.")] = True,
    samples: Annotated[int, typer.Option(min=0, help="Examples to show of each split.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Sizes, labels, lengths, repetitions, leaks between splits, broken tags, answers that are not in their place.

    Own files are rows of a text and a label, or, told by their columns, tagged text, questions on passages, or choices.
    """
    from groundup.verbs.data_sets import check_data as run

    report = run(
        targets,
        folder=folder,
        text=_column(text),
        pair=None if pair is None else _column(pair),
        label=_column(label),
        separator=separator,
        header=header,
        num_samples=samples,
    )
    print_report(report, as_json)


def _column(named: str) -> str | int:
    """A column by its name, or by its number counted from 0."""
    return int(named) if named.isdecimal() else named
