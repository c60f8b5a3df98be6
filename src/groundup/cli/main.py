"""The command line: one function a verb. Nothing heavy is imported until a verb needs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from groundup.cli.data import data_app
from groundup.cli.options import AsJson, ModelArgument, Overrides, RecipeArgument, TargetArgument, print_report
from groundup.cli.predict import predict
from groundup.errors import GroundupError


class _Inspect(TyperGroup):
    """`inspect TARGET` for whatever is no command of its own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the hidden command in front of a target."""
        is_target = bool(args) and args[0] not in self.commands and args != ["--help"]
        return super().parse_args(ctx, ["anything", *args] if is_target else args)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command and its name in messages, where the hidden one has none."""
        name, command, rest = super().resolve_command(ctx, args)
        return "" if name == "anything" else name, command, rest


app = typer.Typer(
    name="groundup",
    help="Design, pretrain, fine-tune, evaluate and ship transformer language models, in English and Chinese.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data_app, name="data")
inspect_app = typer.Typer(
    cls=_Inspect,
    help="What a recipe, a run or a model folder holds; a design and its costs; where a model looks.",
    epilog="Example: groundup inspect runs/sst2",
    subcommand_metavar="TARGET | COMMAND ...",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(inspect_app, name="inspect")


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    """Answer `--version`; what the program is for stands above."""
    if version:
        from importlib.metadata import version as installed_version

        typer.echo(installed_version("groundup"))
        raise typer.Exit


@app.command(
    short_help="A useful model and three proofs in minutes, or your own data.",
    epilog="Example: groundup quickstart --corpus my.txt --labels my.csv --minutes 10",
)
def quickstart(
    corpus: Annotated[str | None, typer.Option(help="Your text, to pretrain an encoder on.", metavar="FILE")] = None,
    labels: Annotated[str | None, typer.Option(help="Your labelled rows: csv, tsv or jsonl.", metavar="FILE")] = None,
    text: Annotated[str, typer.Option(help="The column of the texts in --labels.")] = "text",
    label: Annotated[str, typer.Option(help="The column of the labels in --labels.")] = "label",
    minutes: Annotated[float, typer.Option(help="How long it may take here, about.")] = 4.0,
    output: Annotated[str, typer.Option(help="The folder of everything.", metavar="FOLDER")] = "runs/quickstart",
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
) -> None:
    """Train, prove and report in minutes; with --corpus and --labels on your own data. Killed, it goes on."""
    from groundup.tour.quickstart import quickstart as run

    run(corpus=corpus, labels=labels, text=text, label=label, minutes=minutes, output=output, quiet=quiet)


@app.command(
    short_help="Validate a recipe and its data without training.",
    epilog="Example: groundup check recipes/sst2.yaml optimizer.learning_rate=3e-4",
)
def check(recipe: RecipeArgument, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Validate a recipe and its data: keys, files, labels, lengths, memory, one step in memory. Writes nothing."""
    from groundup.verbs.check import check as run

    print_report(run(recipe, overrides or ()), as_json)


@app.command(
    short_help="Pretrain or fine-tune; a killed run continues.",
    epilog="Example: groundup train recipes/sst2.yaml seed=2 output=runs/sst2-seed2",
)
def train(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    seeds: Annotated[
        int | None, typer.Option(min=2, help="Train so many times, with the recipe's seed and those after it.")
    ] = None,
    accept_inexact: Annotated[
        bool, typer.Option("--accept-inexact", help="Resume although threads, device or torch differ.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print no progress.")] = False,
    as_json: AsJson = False,
) -> None:
    """Pretrain or fine-tune, whichever the recipe says. A run that was killed continues where it was."""
    if seeds is None:
        from groundup.verbs.train import train as run

        report = run(recipe, overrides or (), accept_inexact=accept_inexact, quiet=quiet)
    else:
        from groundup.verbs.series import train_seeds

        report = train_seeds(recipe, overrides or (), seeds=seeds, accept_inexact=accept_inexact, quiet=quiet)
    print_report(report, as_json)
    if report.stopped_by is not None:
        raise typer.Exit(128 + report.stopped_by)


@app.command(
    short_help="Score a trained model, with intervals.",
    epilog="Example: groundup evaluate runs/sst2 data.validation=my-test.tsv",
)
def evaluate(
    target: TargetArgument,
    overrides: Overrides = None,
    minimal_pairs: Annotated[
        list[str] | None,
        typer.Option("--minimal-pairs", help="BLiMP's jsonl files instead: which of two sentences is likelier."),
    ] = None,
    reading: Annotated[
        str | None, typer.Option("--reading", help="With them: causal or masked, where a model can do both.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score a trained model on its recipe's validation data, on what the overrides name, or on minimal pairs."""
    from groundup.verbs.evaluate import evaluate as run
    from groundup.verbs.evaluate import evaluate_pairs

    if not minimal_pairs:
        if reading is not None:
            raise typer.BadParameter("is for --minimal-pairs", param_hint="--reading")
        print_report(run(target, overrides or ()), as_json)
        return
    if overrides:
        raise typer.BadParameter("change nothing for --minimal-pairs", param_hint="OVERRIDES")
    if reading not in (None, "causal", "masked"):
        raise typer.BadParameter("must be causal or masked", param_hint="--reading")
    print_report(evaluate_pairs(target, minimal_pairs, reading=reading), as_json)


@app.command(
    short_help="Is one of two models better? A paired test.",
    epilog="Example: groundup compare runs/sst2 runs/sst2-large data.validation=my-test.tsv",
)
def compare(
    first: Annotated[
        str, typer.Argument(help="A model folder, a run folder, a recipe, or a file of predictions.", metavar="FIRST")
    ],
    second: Annotated[str, typer.Argument(help="Another one of the same kind.", metavar="SECOND")],
    overrides: Overrides = None,
    gold: Annotated[str, typer.Option(help="In files of predictions, the column of what is right.")] = "gold",
    as_json: AsJson = False,
) -> None:
    """Two models, or two files of predictions, on the same rows: differences with intervals, p values, who is right."""
    from groundup.verbs.compare import compare as run

    print_report(run(first, second, overrides or (), gold=gold), as_json)


app.command(
    short_help="Predict on texts or files, as JSON lines or csv.",
    epilog="Example: groundup predict runs/sst2 reviews.csv --keep id --output answers.csv",
)(predict)


@app.command(
    short_help="Let a decoder write on from a prompt.",
    epilog='Example: groundup generate runs/shakespeare-char "ROMEO:" --temperature 0.8 --max-tokens 300',
)
def generate(
    model: ModelArgument,
    prompt: Annotated[str, typer.Argument(help="The text to go on from.", metavar="PROMPT")] = "",
    max_tokens: Annotated[int, typer.Option(min=1, help="The most tokens to write.")] = 128,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 takes the most likely token; above, draws.")] = 0.0,
    top_k: Annotated[int | None, typer.Option(min=1, help="Draw among so many of the most likely tokens.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Draw among the fewest tokens of this probability.")] = None,
    min_p: Annotated[float | None, typer.Option(help="Draw among tokens of this share of the likeliest one's.")] = None,
    repetition_penalty: Annotated[float, typer.Option(help="Above 1 makes tokens that were there less likely.")] = 1.0,
    no_repeat_ngram: Annotated[int | None, typer.Option(min=1, help="Write no run of so many tokens twice.")] = None,
    beams: Annotated[int, typer.Option(min=1, help="Texts kept in a search for the likeliest.")] = 1,
    length_penalty: Annotated[float, typer.Option(help="Of a search: above 1 for longer texts.")] = 1.0,
    early_stopping: Annotated[
        str, typer.Option(help="Of a search: true, false or never.", metavar="true|false|never")
    ] = "false",
    stop: Annotated[list[str] | None, typer.Option(help="A text that ends the writing; may be given again.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    count: Annotated[int, typer.Option(min=1, help="Texts to write: so many draws, or the best so many beams.")] = 1,
) -> None:
    """Write on from a prompt, or answer it, shown as it is written where it is one text. A seed repeats it."""
    from groundup.config import parse
    from groundup.decoding.config import Decoding
    from groundup.verbs.generate import generate as run
    from groundup.verbs.generate import stream
    from groundup.verbs.trained import load_trained

    values = {"max_tokens": max_tokens, "temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p}
    values |= {"repetition_penalty": repetition_penalty, "no_repeat_ngram": no_repeat_ngram, "num_beams": beams}
    stopping = {"true": True, "false": False}.get(early_stopping, early_stopping)
    values |= {"length_penalty": length_penalty, "early_stopping": stopping, "seed": seed, "num_return": count}
    decoding = parse(Decoding, values | {"stop": stop or []}, where="generate")
    trained = load_trained(model)
    start = prompt if trained.writes_on else ""
    if count == 1 and beams == 1:
        pieces = stream(trained, prompt, decoding)
        typer.echo(start, nl=False)
        for piece in pieces:
            typer.echo(piece.text, nl=False)
            sys.stdout.flush()
        typer.echo()
        return
    for number, written in enumerate(run(trained, [prompt], decoding)):
        if count > 1:
            typer.echo(f"--- {number + 1}")
        typer.echo(start + written.text)


@inspect_app.command("anything", hidden=True)
def inspect(target: TargetArgument, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """What a recipe, a run or a model folder holds: design, parameters, FLOPs, memory, checkpoints, metrics."""
    from groundup.verbs.inspect import inspect as run

    print_report(run(target, overrides or ()), as_json)


@inspect_app.command(
    "design",
    short_help="A design and its costs, or two side by side.",
    epilog="Example: groundup inspect design recipes/pretrain-en.yaml recipes/pretrain-zh.yaml model.num_layers=6",
)
def inspect_design(
    designs: Annotated[
        list[str],
        typer.Argument(help="A recipe, a run or a model folder; a second one.", metavar="TARGET [KEY.PATH=VALUE]..."),
    ],
    html: Annotated[str | None, typer.Option(help="Draw them as a page, in this file.", metavar="FILE")] = None,
    as_json: AsJson = False,
) -> None:
    """The tree of a design with its shapes, parameters, FLOPs and memory; settings change the recipe before them."""
    from groundup.verbs.design import inspect_designs as run

    print_report(run(designs, html=html), as_json)


@inspect_app.command(
    "attention",
    short_help="Where every head looks when a model reads a text.",
    epilog='Example: groundup inspect attention runs/sst2 "a charming journey" --html attention.html',
)
def inspect_attention(
    model: ModelArgument,
    text: Annotated[str, typer.Argument(help="What the model reads.", metavar="TEXT")],
    pair: Annotated[
        str | None,
        typer.Option(help="The second text of a pair, or what an encoder-decoder wrote."),
    ] = None,
    layer: Annotated[int | None, typer.Option(help="This layer alone, counted from 0.")] = None,
    head: Annotated[int | None, typer.Option(help="This head alone, counted from 0.")] = None,
    html: Annotated[str | None, typer.Option(help="Draw all maps as a page, in this file.", metavar="FILE")] = None,
    png: Annotated[
        str | None, typer.Option(help="Draw the chosen maps as a picture, in this file.", metavar="FILE")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The attention probabilities of every layer and head: their habits and strongest links, or a page of all maps."""
    from groundup.verbs.attention import inspect_attention as run
    from groundup.verbs.attention import write_attention

    report = run(model, text, pair, layer=layer, head=head)
    write_attention(report, html=html, png=png)
    print_report(report, as_json)


@app.command(
    short_help="Draw a run as one page, report.html.",
    epilog="Example: groundup report runs/sst2",
)
def report(
    run: Annotated[str, typer.Argument(help="A run folder or its recipe.", metavar="RUN")], as_json: AsJson = False
) -> None:
    """Draw a run as one page in English and Chinese, report.html in its folder. `train` does so at its end."""
    from groundup.verbs.report import report as make

    print_report(make(run), as_json)


def main() -> None:
    """Run the command line. What a user can mend is one message on standard error and exit code 2."""
    try:
        app()
    except GroundupError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        name = Path(error.filename).name if error.filename else "system"
        sys.stderr.write(f"error: {error.filename or name}: {error.strerror or error}\n")
        sys.exit(2)
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        cure = "lower train.micro_batch_tokens, which changes no result, or choose a smaller model"
        sys.stderr.write(f"error: memory: is full; {cure}\n")
        sys.exit(2)


def _is_out_of_memory(error: Exception) -> bool:
    """torch has a class for a GPU's memory and only a text for the CPU's."""
    names = {cls.__name__ for cls in type(error).__mro__}
    return bool(names & {"MemoryError", "OutOfMemoryError"}) or "can't allocate memory" in str(error)
