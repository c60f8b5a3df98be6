"""Inspect attention: where every head of every layer looks when the model reads a text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from groundup.checkpoint import pretrained
from groundup.decoding.config import Decoding
from groundup.errors import ConfigError, DataError
from groundup.model.attention_map import MapKind, map_attention
from groundup.model.packed import Packed
from groundup.model.transformer import check_packed
from groundup.objectives.causal import CausalObjective
from groundup.objectives.restoring import RestoringObjective
from groundup.objectives.seq2seq import Seq2SeqObjective
from groundup.reporting.attention_page import render_attention
from groundup.reporting.attention_picture import draw_picture
from groundup.reporting.content_attention import Attention, Habit, HeadMap, Maps
from groundup.text.tokenizer import Tokenizer
from groundup.training.log import write_whole
from groundup.verbs.generate import encode_prompt, generate
from groundup.verbs.layout import clip, columns, fold, format_share, pad, plural
from groundup.verbs.run_folder import write_text
from groundup.verbs.trained import Trained, check_utf8, find_model_folder, wrap_trained

MOST_NUMBERS: Final = 4_000_000
"""Probabilities of a text that are kept: a page of more would open in no browser."""
_DISTINCT: Final = 0.3
"""The share from which on a head has a habit."""
_CHOICES: Final = 3
"""Keys that a query must see for its look to say something of the head."""
_LINKS: Final = 3
_LONGEST_ANSWER: Final = 128
"""Tokens of what an encoder-decoder writes for a map."""
_VISIBLE: Final = 0.05
_SPACES: Final = {" ": "␣", "\n": "⏎", "\t": "⇥"}


@dataclass(frozen=True)
class AttentionReport:
    """The maps for a terminal: of each head its habit and its strongest links."""

    content: Attention
    layer: int | None
    head: int | None

    def to_json(self) -> dict[str, object]:
        """Plain data: all probabilities of the chosen heads."""
        maps = [
            {**each, "heads": [head for head in each["heads"] if self.is_chosen(head)]} for each in self.content["maps"]
        ]
        return {**self.content, "maps": maps}

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def is_chosen(self, head: HeadMap) -> bool:
        """Whether the head is one of those that are asked for."""
        return self.layer in (None, head["layer"]) and self.head in (None, head["head"])

    def _lines(self) -> Iterator[str]:
        for number, maps in enumerate(self.content["maps"]):
            if number:
                yield ""
            size = f"{plural(maps['num_layers'], 'layer')} of {plural(maps['num_heads'], 'head')}"
            yield from fold(f"{self.content['model']}, {_NAMES[maps['kind']]}: {size}", indent=0)
            yield from _show_tokens("tokens", maps["keys"])
            if maps["kind"] == "cross_attention":
                yield from _show_tokens("seen from", maps["queries"])
            chosen = [head for head in maps["heads"] if self.is_chosen(head)]
            if len(chosen) == 1:
                yield from _show_head(maps, chosen[0])
            else:
                yield from _show_heads(maps, chosen)


_NAMES: Final[dict[MapKind, str]] = {
    "attention": "attention",
    "encoder": "attention in the encoder",
    "cross_attention": "attention of the decoder to the source",
}


def inspect_attention(
    model: str | Path, text: str, pair: str | None = None, *, layer: int | None = None, head: int | None = None
) -> AttentionReport:
    """Where a model looks: the probabilities that it computes with, in float32.

    Args:
        model: a run folder, a recipe, a model folder, or a name on the hub; its head, if it has one, does not matter.
        text: what it reads, prepared as in training.
        pair: the second text of a pair; of an encoder-decoder what it has written, None for what it writes; of a
            decoder that learnt completions, the beginning of one.
        layer: this layer alone, counted from 0.
        head: this head alone, counted from 0.

    Raises:
        DataError: the text is empty, too long for the model, or its maps would be too many.
        ConfigError: there is no such layer or head, or the second text does not fit the model.
    """
    for each in (text, pair or ""):
        check_utf8(each, "text")
    loaded = pretrained.load(find_model_folder(model))
    config = loaded.config
    for name, number, count in (("layer", layer, config.num_layers), ("head", head, config.num_heads)):
        if number is not None and not 0 <= number < count:
            raise ConfigError(name, f"is not one of 0 to {count - 1}", got=number)
    tokenizer = Tokenizer.load(loaded.tokenizer_folder)
    packed, source = _encode(loaded, model, tokenizer, text, pair)
    for each in (packed, source):
        if each is not None:
            _check_size(loaded, each)
    maps = map_attention(loaded.model, packed, source=source)
    names = {"attention": tokenizer.pieces(packed.input_ids.tolist())}
    if source is not None:
        names["encoder"] = tokenizer.pieces(source.input_ids.tolist())
    queries = {"cross_attention": names["attention"], **names}
    keys = {"cross_attention": names.get("encoder", []), **names}
    ids = {"attention": packed.input_ids, "encoder": None if source is None else source.input_ids}
    found = [
        _describe(kind, [layers[0] for layers in of_kind], queries[kind], keys[kind], ids.get(kind))
        for kind, of_kind in maps.items()
    ]
    content: Attention = {"model": str(model), "text": text, "pair": pair, "maps": found}
    return AttentionReport(content, layer, head)


def write_attention(report: AttentionReport, *, html: str | Path | None = None, png: str | Path | None = None) -> None:
    """Draw the maps: as a page that needs nothing beside it, with all of them; as a picture of those that are chosen.

    Raises:
        MissingExtraError: a picture needs the extra `plots`.
        ConfigError: a picture of a text for which there is no font here.
    """
    if png is not None:
        chosen = [(maps, head) for maps in report.content["maps"] for head in maps["heads"] if report.is_chosen(head)]
        write_whole(Path(png), draw_picture(report.content, chosen))
    if html is not None:
        page = render_attention(report.content, version("groundup"), layer=report.layer, head=report.head)
        write_text(Path(html), page)


def _encode(
    loaded: pretrained.Pretrained, model: str | Path, tokenizer: Tokenizer, text: str, pair: str | None
) -> tuple[Packed, Packed | None]:
    """What the model reads as it was trained to: with its special tokens, its start, its separator."""
    config = loaded.config
    writes = any(head.kind == "causal_lm" for head in config.heads)
    trained = wrap_trained(loaded, model) if writes else None
    objective = None if trained is None else trained.objective
    if config.encoder is not None:
        return _encode_both(loaded, trained, tokenizer, text, pair)
    if isinstance(objective, CausalObjective):
        if pair is not None and not trained.has_completions:
            raise ConfigError("pair", "goes with models of pairs; this decoder reads one text", got=pair)
        ids = encode_prompt(trained, text)
        packed = Packed.from_sequences([np.concatenate([ids, *tokenizer.encode_plain([pair or ""])])])
        return packed.with_prefixes([len(ids)]) if config.has_prefix else packed, None
    encoded = tokenizer.encode(text, pair)
    return Packed.from_sequences([encoded.input_ids], [encoded.token_type_ids]), None


def _encode_both(
    loaded: pretrained.Pretrained, trained: Trained | None, tokenizer: Tokenizer, text: str, pair: str | None
) -> tuple[Packed, Packed]:
    """What an encoder-decoder has written, and the source that it wrote it for."""
    objective = None if trained is None else trained.objective
    if isinstance(objective, Seq2SeqObjective):
        start_ids, source = objective.start_ids, objective.encode_source(text)
        if pair is None:
            room = loaded.config.max_length - len(start_ids)
            (answer,) = generate(trained, [text], Decoding(max_tokens=min(_LONGEST_ANSWER, room)))
            written = np.array([*start_ids, *answer.token_ids])
            return Packed.from_sequences([written]), Packed.from_sequences([source])
    elif pair is None:
        cure = "give with --pair what stands in its decoder"
        raise ConfigError("pair", "is needed: the model has not learnt to write for a text", cure=cure)
    elif isinstance(objective, RestoringObjective):
        start_ids, source = objective.writer.start_ids, objective.writer.encode_source(text)
    else:
        start = loaded.extra_config.get("decoder_start_token_id")
        start_ids, source = () if start is None else (start,), tokenizer.encode(text).input_ids
    written = np.concatenate([np.array(start_ids, dtype=np.int32), *tokenizer.encode_plain([pair])])
    return Packed.from_sequences([written]), Packed.from_sequences([source])


def _check_size(loaded: pretrained.Pretrained, packed: Packed) -> None:
    config, length = loaded.config, packed.num_tokens
    if not length:
        raise DataError("text", "is empty: there is nothing to look at")
    check_packed(config, packed)
    numbers = config.num_layers * config.num_heads * length * length
    if numbers > MOST_NUMBERS:
        most = int((MOST_NUMBERS / (config.num_layers * config.num_heads)) ** 0.5)
        raise DataError("text", f"has {length} tokens, whose maps are {numbers:,} numbers", cure=f"give {most} at most")


def _describe(
    kind: MapKind,
    layers: Sequence[Float[Tensor, "heads queries keys"]],
    queries: list[str],
    keys: list[str],
    ids: Int[Tensor, " tokens"] | None,
) -> Maps:
    heads: list[HeadMap] = []
    for layer, of_layer in enumerate(layers):
        for number, probabilities in enumerate(of_layer.double().numpy()):
            habit, share = find_habit(probabilities, None if ids is None else ids.numpy())
            rows = probabilities.round(6).tolist()
            heads.append({"layer": layer, "head": number, "probabilities": rows, "habit": habit, "share": share})
    return {
        "kind": kind,
        "queries": queries,
        "keys": keys,
        "num_layers": len(layers),
        "num_heads": len(layers[0]),
        "heads": heads,
    }


def find_habit(
    probabilities: Float[np.ndarray, "queries keys"], ids: Int[np.ndarray, " tokens"] | None
) -> tuple[Habit, float]:
    """What most of the attention goes to, averaged over the queries that could send it there.

    Args:
        probabilities: of one head.
        ids: of the tokens, where queries and keys are the same.
    """
    rows, keys = np.indices(probabilities.shape)
    goals: dict[Habit, np.ndarray] = {"first": keys == 0, "last": keys == probabilities.shape[1] - 1}
    if ids is not None:
        goals |= {"itself": keys == rows, "previous": keys == rows - 1, "next": keys == rows + 1}
        goals["same"] = (ids[:, None] == ids) & (keys != rows)
        goals |= {"first": goals["first"] & (rows != 0), "last": goals["last"] & (keys != rows)}
    # The first tokens of a decoder have hardly a choice.
    has_choice = (probabilities > 0).sum(axis=1) >= _CHOICES
    has_choice |= not has_choice.any()
    shares: dict[Habit, float] = {}
    for name, goal in goals.items():
        could = goal.any(axis=1) & has_choice
        if could.sum() > 1:
            shares[name] = float((probabilities * goal)[could].sum(axis=1).mean())
    best = max(shares, key=shares.__getitem__, default=None)
    return ("spread", 0.0) if best is None or shares[best] < _DISTINCT else (best, shares[best])


def _show_tokens(name: str, tokens: Sequence[str]) -> list[str]:
    return fold(" ".join(map(show_piece, tokens)), indent=0, first=pad(name, 11))


def _show_heads(maps: Maps, heads: Sequence[HeadMap]) -> Iterator[str]:
    for layer in sorted({head["layer"] for head in heads}):
        yield ""
        yield f"layer {layer}"
        rows = [
            (str(head["head"]), _show_habit(head), "  ".join(clip(each, 26) for each in list_links(maps, head)))
            for head in heads
            if head["layer"] == layer
        ]
        yield from columns(rows, "rll")


def _show_head(maps: Maps, head: HeadMap) -> Iterator[str]:
    """Of every token, what it takes most from."""
    yield ""
    yield f"layer {head['layer']}, head {head['head']}: {_show_habit(head)}"
    rows = []
    for query, row in zip(maps["queries"], head["probabilities"], strict=True):
        best = sorted(range(len(row)), key=lambda key: -row[key])[:4]
        taken = "  ".join(
            f"{clip(show_piece(maps['keys'][key]), 12)} {row[key]:.2f}" for key in best if row[key] >= 0.05
        )
        rows.append((clip(show_piece(query), 16), taken))
    yield from columns(rows, "ll")


def _show_habit(head: HeadMap) -> str:
    return "spread" if head["habit"] == "spread" else f"{head['habit']} {format_share(head['share'])}"


def list_links(maps: Maps, head: HeadMap, count: int = _LINKS) -> list[str]:
    """The links between different tokens that are furthest above what an even look would give: `cat→the 0.93`."""
    values = np.array(head["probabilities"])
    lift = values * (values > 0).sum(axis=1, keepdims=True)
    if maps["kind"] != "cross_attention":
        np.fill_diagonal(lift, 0.0)
    best = np.argsort(-lift, axis=None, kind="stable")[:count]
    links = zip(*np.unravel_index(best, lift.shape), strict=True)
    queries, keys = maps["queries"], maps["keys"]
    return [f"{show_piece(queries[query])}→{show_piece(keys[key])} {values[query, key]:.2f}" for query, key in links]


def show_piece(piece: str) -> str:
    """A token on one line, white space that it begins with left out where something follows."""
    return piece.strip() or "".join(_SPACES.get(char, "␣") for char in piece) or "∅"
