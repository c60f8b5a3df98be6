"""The parts of the page about what was built and from what: design, data, recipe, machine, and what to try next."""

from __future__ import annotations

from collections.abc import Sequence

from groundup.figures import format_bytes, format_count, format_share
from groundup.reporting.charts import draw_bar, draw_shares
from groundup.reporting.content import Advice, DataSplit, Design, Report
from groundup.reporting.diagram import draw_design
from groundup.reporting.language import say, say_name
from groundup.reporting.markup import Child, Html, commas, data, join, tag
from groundup.reporting.parts import Cell, code, fold, is_block, note, number, prose, section, table
from groundup.reporting.sections_classes import name_range
from groundup.reporting.slots import draw_slots


def draw_advice(report: Report) -> Html | None:
    """What to try next."""
    if not report["advice"]:
        return None
    pieces = [_draw_piece(piece) for piece in report["advice"]]
    return section("advice", "advice.title", note(say("advice.what")), tag("ol", *pieces, class_="advice"))


def _draw_piece(piece: Advice) -> Html:
    values: dict[str, Child] = {}
    for name, value in piece["values"].items():
        values[name] = say_name("language", str(value)) if name.endswith("_name") else prose(str(value))
    rule, command = piece["rule"], piece["command"]
    how = note(say("advice.by_hand")) if command is None else code(command)
    return tag("li", tag("h3", say(f"advice.{rule}.title")), tag("p", say(f"advice.{rule}.reason", **values)), how)


def draw_design_section(report: Report) -> Html:
    """The block, its slots, and what they cost."""
    design = report["design"]
    if design is None:
        return section("design", "design.title", note(say("design.none")))
    return section("design", "design.title", *draw_design_parts(design))


def draw_design_parts(design: Design, drawing: str | None = "design") -> tuple[Html | None, ...]:
    """The drawing, the slots, the costs and the tree of a design. `drawing` is the name of the first; None for none."""
    config = design["config"]
    beside = "below" if config["encoder"] is not None or drawing is None else "beside"
    drawn = None if drawing is None else draw_design(config, drawing, say("design.diagram"))
    return (
        tag("div", drawn, tag("div", draw_slots(config)), class_=beside),
        tag("div", _draw_parameters(design), _draw_flops(design), class_="pair"),
        tag("div", _draw_memory(design), _draw_arithmetic(design), class_="pair"),
        _draw_costs(design),
        fold(say("design.tree"), _draw_tree(design)),
        *(note(prose(each)) for each in design["notes"]),
    )


def _draw_parameters(design: Design) -> Html:
    shares = design["parameter_shares"]
    parts = [(say_name("part", name), f"{count:,}", shares[name]) for name, count in design["parameters"].items()]
    return _draw_parts(say("design.parameters", count=data(f"{design['num_parameters']:,}")), "design.count", parts)


def _draw_flops(design: Design) -> Html:
    shares = design["flops_shares"]
    parts = [
        (say_name("part", name), format_count(n, " "), shares[name]) for name, n in design["forward_flops"].items()
    ]
    total = data(format_count(design["forward_flops_per_token"], " "))
    return _draw_parts(say("design.flops_parts", count=total), "design.flops_count", parts)


def _draw_memory(design: Design) -> Html:
    shares, tokens = design["memory_shares"], data(f"{design['micro_batch_tokens']:,}")
    parts = [(say_name("memory", name), format_bytes(size), shares[name]) for name, size in design["memory"].items()]
    caption = say("design.memory", total=data(format_bytes(design["total_memory"])), tokens=tokens)
    return _draw_parts(caption, "design.size", parts)


def _draw_parts(caption: Html, unit: str, parts: Sequence[tuple[Html, str, float]]) -> Html:
    """A whole as a table of its parts, each with its figure and its share, and a bar that is cut as they are."""
    shown = [part for part in parts if part[2]]
    rows = [
        [join(tag("i", class_=f"swatch part-{place}"), name), number(figure), number(format_share(share))]
        for place, (name, figure, share) in enumerate(shown)
    ]
    head = [say("design.part"), say(unit), say("design.share")]
    bar = draw_shares([share for *_, share in shown])
    return tag("div", table(caption, head, rows, "numbers"), bar, class_="with-bar")


def _draw_arithmetic(design: Design) -> Html:
    """What a token costs, and, of a design that was trained, the run."""
    cached, length = design["cache_bytes_per_token"], design["length"]
    total, rate = design.get("total_flops"), design.get("flops_per_second")
    figures = {
        "design.flops_training": format_count(design["training_flops_per_token"], " "),
        "design.flops_total": None if total is None else format_count(total, " "),
        "design.flops_rate": None if rate is None else format_count(rate, " "),
        "design.cache": None if cached is None else format_bytes(cached),
    }
    rows = [[say(key), number(text)] for key, text in figures.items() if text is not None]
    what = note(say("design.at_length", length=data(f"{length:,}")))
    return tag("div", table(say("design.flops"), None, rows, "numbers"), what)


def _draw_costs(design: Design) -> Html | None:
    if not design["costs"]:
        return None
    sentences = [
        tag("li", say(f"cost.{cost['rule']}", **{name: data(str(value)) for name, value in cost["values"].items()}))
        for cost in design["costs"]
    ]
    return tag("div", tag("h3", say("design.costs")), tag("ul", *sentences, class_="costs"))


def _draw_tree(design: Design) -> Html:
    rows = []
    for module in design["modules"]:
        depth, last = module["name"].replace("blocks.", "", 1).count("."), module["name"].rpartition(".")[2]
        name: Html = data(last, "code")
        if is_block(module["name"]):
            times = data(str(module["times"]))
            is_all = last == "*"
            name = (
                say("design.blocks", times=times)
                if is_all
                else say("design.some_blocks", layers=data(last), times=times)
            )
        shapes = "  ".join(f"{part} {' × '.join(map(str, shape))}" for part, shape in module["shapes"].items())
        indented = tag("span", name, style=f"padding-left:{depth * 1.1:.1f}em")
        rows.append([indented, Cell(data(shapes, "code")), number(f"{module['parameters']:,}")])
    return table(None, [say("design.module"), say("design.shapes"), say("design.count")], rows, "numbers")


def draw_data(report: Report) -> Html:
    """Files, counts, labels, lengths."""
    splits = report["data"]
    if not splits:
        return section("data", "data.title", note(say("data.none")))
    return section(
        "data",
        "data.title",
        tag("div", _draw_counts(report, splits), _draw_labels(splits), class_="pair"),
        _draw_lengths(splits[0]),
        _draw_files(splits),
    )


def _draw_counts(report: Report, splits: list[DataSplit]) -> Html:
    is_table = report["recipe"]["data"]["kind"] != "corpus"
    limit = data(f"{splits[0]['lengths']['limit']:,}")
    figures: list[tuple[Html, str, bool]] = [
        (say("data.documents"), "documents", False),
        (say("data.characters"), "characters", False),
        (say("data.sequences"), "sequences", False),
        (say("data.tokens"), "tokens", False),
        (say("data.unlabelled"), "unlabelled", True),
        (say("data.empty"), "empty", True),
        (say("data.cut", limit=limit), "num_cut", not is_table),
        (say("data.lost") if is_table else say("data.left_out"), "tokens_lost", False),
        (say("data.unknown"), "unknown_tokens", False),
    ]
    rows = []
    for name, key, is_optional in figures:
        values = [split[key] for split in splits]  # type: ignore[literal-required]
        if all(value is None for value in values) or (is_optional and not any(values)):
            continue
        rows.append([name, *(number("–" if value is None else f"{value:,}") for value in values)])
    head = [say("data.figure"), *(say_name("data", split["name"]) for split in splits)]
    return table(say("data.counts"), head, rows, "numbers")


def _draw_labels(splits: list[DataSplit], most: int = 20) -> Html | None:
    labels = splits[0]["labels"]
    if labels is None:
        return None
    largest = max(labels.values(), default=0) or 1
    rows = []
    for label in sorted(labels, key=lambda each: -labels[each])[:most]:
        row: list[Html | Cell] = [prose(label) if label else say("part.untyped")]
        for split in splits:
            count, share = (split["labels"] or {}).get(label, 0), (split["label_shares"] or {}).get(label, 0.0)
            row.append(Cell(join(data(f"{count:,}"), " ", data(format_share(share), "small")), "number"))
        rows.append([*row, draw_bar(labels[label] / largest)])
    label, caption = ("data.type", "data.entities") if splits[0]["counts_entities"] else ("data.label", "data.labels")
    head = [say(label), *(say_name("data", split["name"]) for split in splits), ""]
    return table(say(caption), head, rows, "numbers")


def _draw_lengths(split: DataSplit) -> Html:
    lengths = split["lengths"]
    most = max((count for _, _, count in lengths["bins"]), default=1)
    rows = [
        [name_range(str(low), "" if high is None else str(high)), number(f"{count:,}"), draw_bar(count / most)]
        for low, high, count in lengths["bins"]
    ]
    shares = commas(
        say("data.up_to", share=data(share), length=data(f"{length:,}"))
        for share, length in lengths["quantiles"].items()
    )
    longest, limit = data(f"{lengths['longest']:,}"), data(f"{lengths['limit']:,}")
    shown = table(say("data.lengths"), [say("data.length"), say("data.count"), ""], rows, "numbers histogram")
    return join(shown, note(say("data.quantiles", shares=shares, longest=longest, limit=limit)))


def _draw_files(splits: list[DataSplit], most: int = 20) -> Html:
    rows = [
        [
            join(say_name("data", split["name"]), ": ", prose(file["name"], "code")),
            number(format_bytes(file["bytes"])),
            Cell(data(file["sha256"], "code", class_="hash")),
        ]
        for split in splits
        for file in split["files"][:most]
    ]
    rows += [
        [
            join(say_name("data", split["name"]), ": ", say("data.digest")),
            Cell(""),
            Cell(data(split["digest"], "code", class_="hash")),
        ]
        for split in splits
    ]
    return table(say("data.files"), [say("data.file"), say("data.bytes"), data("sha256")], rows)


def draw_recipe(report: Report) -> Html:
    """The whole recipe."""
    return section("recipe", "recipe.title", note(say("recipe.what")), code(report["recipe_yaml"], "yaml"))


def draw_machine(report: Report) -> Html:
    """What must be equal for the same bits."""
    domain = report["domain"]
    if domain is None:
        return section("machine", "machine.title", note(say("machine.none")))
    rows = [[say_name("machine", name), Cell(data(str(value)))] for name, value in domain.items()]
    shown = table(None, None, rows, "narrow")
    return section("machine", "machine.title", note(say("machine.what")), shown)
