"""The verb `predict`: on a text, the rows of a file, or a data set that is known by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from groundup.cli.options import ModelArgument

if TYPE_CHECKING:
    from groundup.verbs.predict_write import Format


def predict(
    model: ModelArgument,
    source: Annotated[
        str | None,
        typer.Argument(
            help="A text, a .txt/.csv/.tsv/.jsonl/.parquet file, or - for lines of standard input.", metavar="TEXT"
        ),
    ] = None,
    pair: Annotated[str | None, typer.Option(help="The second text, for tasks on pairs.")] = None,
    format: Annotated[
        str | None, typer.Option(help="How answers are written: jsonl, if --output does not tell.", metavar="jsonl|csv")
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="Write to this file, which appears when it is whole.", metavar="FILE")
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            help="A column to put beside the answer (`answers` of SQuAD's layout, `tags` of tagged text); may be given"
            " again.",
            metavar="COLUMN[=NAME]",
        ),
    ] = None,
    data_set: Annotated[
        str | None,
        typer.Option(
            "--set",
            help="A known data set instead of a text. An --output called CoLA.tsv or the like is what GLUE takes.",
            metavar="NAME",
        ),
    ] = None,
    split: Annotated[str | None, typer.Option(help="With --set: another split than the test split.")] = None,
    folder: Annotated[
        str | None, typer.Option(help="With --set: where its files are, if not in GROUNDUP_DATA.", metavar="FOLDER")
    ] = None,
    batch_rows: Annotated[int, typer.Option(min=1, help="Rows computed at once.")] = 256,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print no progress.")] = False,
) -> None:
    """Predict: a row for each text: labels of a classifier, completions of a decoder, `[MASK]` filled in."""
    if format not in (None, "jsonl", "csv"):
        raise typer.BadParameter("must be jsonl or csv", param_hint="--format")
    form = cast("Format | None", format)
    if data_set is not None:
        if source is not None or pair is not None or keep:
            raise typer.BadParameter("stands in the place of TEXT, --pair and --keep", param_hint="--set")
        if output is None:
            raise typer.BadParameter("needs --output", param_hint="--set")
        from groundup.verbs.predict_set import predict_set

        report = predict_set(
            model, data_set, output, split=split, folder=folder, format=form, batch_rows=batch_rows, quiet=quiet
        )
        typer.echo(str(report))
        return
    if source is None:
        raise typer.BadParameter("is missing: give a text, a file, - or --set NAME", param_hint="TEXT")
    if split is not None or folder is not None:
        raise typer.BadParameter("are for a data set: name it with --set", param_hint="--split, --folder")
    from groundup.verbs.predict_file import predict_file, stream_text

    columns = {name: as_name or name for name, _, as_name in (each.partition("=") for each in keep or ())}
    if output is not None:
        if pair is not None:
            raise typer.BadParameter("goes with a single text, not with a file", param_hint="--pair")
        report = predict_file(model, source, output, format=form, keep=columns, batch_rows=batch_rows, quiet=quiet)
        typer.echo(str(report))
        return
    for text in stream_text(model, source, format=form or "jsonl", pair=pair, keep=columns, batch_rows=batch_rows):
        typer.echo(text, nl=False)
