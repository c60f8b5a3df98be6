"""One design for a terminal, or two side by side with what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from groundup.config import parse
from groundup.figures import Number, format_bytes, format_count, format_share
from groundup.model.config import ModelConfig
from groundup.reporting.content import Comparison, Design, Module, ModuleChange
from groundup.verbs.design_costs import say_cost
from groundup.verbs.design_tree import describe_values, show_shapes, show_tree
from groundup.verbs.layout import WIDTH, clip, columns, entry, fold
from groundup.verbs.run_folder import differing_keys

Form = Callable[[Number], str]

_PARTS: Final = {
    "embedding": ("embedding",),
    "encoder": ("encoder",),
    "cross_attention": ("cross_attention",),
    "attention": ("projections", "scores"),
    "feed_forward": ("feed_forward",),
    "norms": (),
    "pooler": ("pooler",),
    "heads": ("heads",),
}
"""Parts of the parameters, and the parts of the FLOPs that belong to each."""


@dataclass(frozen=True)
class DesignReport:
    """A design and what it costs."""

    content: Design

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return dict(self.content)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        content = self.content
        yield from fold(content["name"], indent=0)
        yield from show_values(content["config"])
        yield ""
        yield from show_tree(content["modules"])
        yield ""
        yield from _show_parts(content)
        yield ""
        memory = ", ".join(f"{kind} {format_bytes(size)}" for kind, size in content["memory"].items())
        total = f"about {format_bytes(content['total_memory'])} to train on {content['micro_batch_tokens']:,} tokens at"
        yield from _entry("memory", f"{total} once, in sequences of {content['length']:,}: {memory}")
        if content["cache_bytes_per_token"] is not None:
            yield from _entry("cache", show_cache(content))
        for cost in content["costs"]:
            yield from fold(say_cost(cost), indent=0, first="! ")
        for note in content["notes"]:
            yield from fold(note, indent=0, first="- ")


@dataclass(frozen=True)
class ComparisonReport:
    """Two designs and where they differ."""

    content: Comparison

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return dict(self.content)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        one, other = self.content["one"], self.content["other"]
        yield from _entry("one", one["name"])
        yield from _entry("other", other["name"])
        yield ""
        yield from self._show_keys()
        yield ""
        yield from self._show_modules()
        yield from columns([("", "one", "other", ""), *_compare_figures(one, other)], "lrrl", indent=0)
        for name, design, beside in (("one", one, other), ("other", other, one)):
            for cost in design["costs"]:
                if cost not in beside["costs"]:
                    yield from fold(f"{name}: {say_cost(cost)}", indent=0, first="! ")
            for note in design["notes"]:
                yield from fold(f"{name}: {note}", indent=0, first="- ")

    def _show_keys(self) -> Iterator[str]:
        if not self.content["differences"]:
            yield "The two are the same design."
            return
        differences = self.content["differences"]
        width = (WIDTH - 2 - max(map(len, differences)) - 4) // 2
        rows = [
            (f"≠ {key}", clip(show_value(one), width), clip(show_value(other), width))
            for key, (one, other) in differences.items()
        ]
        yield from columns([("what differs", "one", "other"), *rows], "lll", indent=0)

    def _show_modules(self) -> Iterator[str]:
        changes = self.content["modules"]
        if changes:
            yield "modules"
        for each in changes:
            sign = "≠" if each["one"] and each["other"] else "-" if each["one"] else "+"
            yield f"  {sign} {each['name']}"
            yield from (line for shapes in (each["one"], each["other"]) if shapes for line in fold(shapes, indent=6))
        if changes:
            yield ""


def compare(one: Design, other: Design) -> Comparison:
    """Two designs and where they differ."""
    first, second = _unfold(one["config"]), _unfold(other["config"])
    differences = {key: (_value(first, key), _value(second, key)) for key in differing_keys(first, second)}
    modules = list(_compare_modules(one["modules"], other["modules"]))
    return {"one": one, "other": other, "differences": differences, "modules": modules}


def _compare_figures(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for name, key, form in FIGURES:
        if isinstance(one[key], Mapping):
            for part in dict.fromkeys([*one[key], *other[key]]):
                values = one[key].get(part, 0), other[key].get(part, 0)
                if any(values):
                    yield _compare(f"  {part.replace('_', ' ')}", *values, form)
        elif one[key] is not None or other[key] is not None:
            yield _compare(name, one[key], other[key], form)


def _plain(value: Number) -> str:
    return f"{value:,}"


FIGURES: Final = (
    ("parameters", "num_parameters", _plain),
    ("", "parameters", _plain),
    ("FLOPs a token, forward", "forward_flops_per_token", format_count),
    ("", "forward_flops", format_count),
    ("FLOPs a token, training", "training_flops_per_token", format_count),
    ("memory while training", "total_memory", format_bytes),
    ("", "memory", format_bytes),
    ("tokens at once", "micro_batch_tokens", _plain),
    ("tokens of a sequence", "length", _plain),
    ("bytes of an activation", "activation_bytes", _plain),
    ("cache of a token", "cache_bytes_per_token", format_bytes),
)
"""What two designs are compared by: a name, a key of `Design`, and how its values are written."""


def _compare(name: str, one: Number | None, other: Number | None, form: Form) -> tuple[str, str, str, str]:
    ratio = "" if not one or other is None else "=" if one == other else f"x {other / one:.3g}"
    return (name, *("–" if value is None else form(value) for value in (one, other)), ratio)


def _compare_modules(one: Sequence[Module], other: Sequence[Module]) -> Iterator[ModuleChange]:
    """The modules whose own parameters differ, with their shapes in both."""
    ours, theirs = ({each["name"]: show_shapes(each["shapes"]) for each in modules} for modules in (one, other))
    for name in dict.fromkeys([*ours, *theirs]):
        change: ModuleChange = {"name": name, "one": ours.get(name, ""), "other": theirs.get(name, "")}
        if change["one"] != change["other"]:
            yield change


def show_values(config: Mapping[str, Any]) -> Iterator[str]:
    """The slots in words."""
    for name, text in describe_values(parse(ModelConfig, config)).items():
        yield from _entry(name, text)


def show_cache(design: Design) -> str:
    """What a decoder keeps of a token, and of a whole sequence."""
    a_token, longest = design["cache_bytes_per_token"] or 0, design["config"]["max_length"]
    return f"{format_bytes(a_token)} a token, {format_bytes(a_token * longest)} for a sequence of {longest:,}"


def show_value(value: Any) -> str:
    """A value as it is written in a recipe."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(show_value, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {show_value(item)}' for key, item in value.items())}}}"
    return "–" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _unfold(config: Mapping[str, Any]) -> dict[str, Any]:
    """Heads by their kind, so that one of a kind is compared with its like."""
    return {**config, "heads": {head["kind"]: head for head in config["heads"]}}


def _value(tree: Any, key: str) -> Any:
    """What stands under a dotted key; None where nothing does."""
    for part in key.split("."):
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree


def _show_parts(content: Design) -> list[str]:
    rows = [("", "parameters", "", "FLOPs a token", "")]
    for part, flops_parts in _PARTS.items():
        count = content["parameters"].get(part, 0)
        flops = sum(content["forward_flops"].get(each, 0.0) for each in flops_parts)
        if not count and not flops:
            continue
        rows.append(
            (part.replace("_", "-"), *_share(count, content["num_parameters"], _plain), *_flops(content, flops))
        )
        if len(flops_parts) > 1:
            rows += [(f"  {each}", "", "", *_flops(content, content["forward_flops"][each])) for each in flops_parts]
    forward, training = content["forward_flops_per_token"], content["training_flops_per_token"]
    rows.append(("all", f"{content['num_parameters']:,}", "", format_count(forward), ""))
    rows.append(("forward and backward", "", "", format_count(training), ""))
    return columns(rows, "lrrrr")


def _flops(content: Design, flops: Number) -> tuple[str, str]:
    return _share(flops, content["forward_flops_per_token"], format_count)


def _share(value: Number, total: Number, form: Form) -> tuple[str, str]:
    return (form(value), format_share(value / total)) if value else ("–", "")


def _entry(name: str, text: str) -> list[str]:
    return entry(name, text, name_width=16)
