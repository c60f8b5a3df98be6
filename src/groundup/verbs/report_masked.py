"""What a report says of a masked model: accuracy by how tokens were shown, and sequences with its answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import torch

from groundup.language.scripts import is_cjk
from groundup.model.transformer import Transformer
from groundup.objectives.masked import MaskedObjective
from groundup.objectives.protocol import Batch
from groundup.recipe import Recipe
from groundup.reporting.content import Answer, Masked, MaskedSequence, Split, Token
from groundup.reporting.content_rows import Bucket
from groundup.text.pack import cut_by_tokens
from groundup.text.readable import join_chinese
from groundup.training.evaluate import EVALUATION_EPOCH, EVALUATION_SEED
from groundup.training.step import autocast
from groundup.verbs.report_parts import make_bucket
from groundup.verbs.report_sample import Chosen, spread

_SHOWN: Final = 6
"""Sequences."""
_MOST_TOKENS: Final = 200
"""Of a shown sequence; longer ones are not chosen where there are others."""
_TOP: Final = 5
_CLOSING: Final = frozenset(".,;:!?)]}%'")
_OPENING: Final = frozenset("([{'")
_FATES: Final = ("hidden", "replaced", "kept")
_SCRIPTS: Final = ("zh", "latin", "digit", "other")


class _Targets(NamedTuple):
    """Of each token to predict."""

    fate: np.ndarray
    label: np.ndarray
    is_right: np.ndarray
    loss: np.ndarray


class _Asked(NamedTuple):
    """A token to predict, in a shown sequence."""

    answers: list[Answer]
    label: int
    fate: str


def measure_masked(
    recipe: Recipe, objective: MaskedObjective, model: Transformer, chosen: Chosen, split: Split, device: torch.device
) -> Masked | None:
    """Everything that the page shows of a masked model; None where no token of the chosen sequences is masked."""
    model.eval()
    with torch.inference_mode():
        parts = list(_measure(recipe, objective, model, chosen, device))
        targets = _Targets(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
        shown = _show(recipe, objective, model, chosen, device)
    if not len(targets.label):
        return None
    names, numbers = np.unique(targets.label, return_inverse=True)
    scripts = np.array([find_script(token) for token in objective.tokenizer.tokens(names)])[numbers]
    return {
        "split": split,
        "sequences": len(chosen),
        "of": len(chosen.samples),
        "targets": len(targets.label),
        "buckets": [
            *_make_buckets("fate", _FATES, targets.fate, targets),
            *_make_buckets("script", _SCRIPTS, scripts, targets),
        ],
        "shown": shown,
    }


def find_script(token: str) -> str:
    """What a token is written in, by its first telling character."""
    for char in token.removeprefix("##"):
        if is_cjk(char):
            return "zh"
        if char.isdigit():
            return "digit"
        if char.isalpha():
            return "latin" if char < "\u0250" or "\uff21" <= char <= "\uff5a" else "other"
    return "other"


def _measure(
    recipe: Recipe, objective: MaskedObjective, model: Transformer, chosen: Chosen, device: torch.device
) -> Iterator[_Targets]:
    """Batch by batch, with the masks that every validation draws."""
    for places in cut_by_tokens(np.arange(len(chosen)), chosen.lengths, recipe.train.micro_batch_tokens):
        batch = objective.prepare([chosen[int(place)] for place in places], EVALUATION_SEED, EVALUATION_EPOCH)
        with autocast(device, recipe.train.precision):
            measured = objective.measure(model, batch.to(device))
        labels = batch.targets["labels"].numpy()
        yield _Targets(_find_fates(objective, batch), labels, measured["correct"], measured["nll"])


def _find_fates(objective: MaskedObjective, batch: Batch) -> np.ndarray:
    seen, labels = batch.packed.input_ids[batch.targets["rows"]].numpy(), batch.targets["labels"].numpy()
    return np.where(seen == objective.mask_id, "hidden", np.where(seen == labels, "kept", "replaced"))


def _make_buckets(by: str, names: Sequence[str], of: np.ndarray, targets: _Targets) -> list[Bucket]:
    return [
        make_bucket(by, name, targets.is_right[of == name], targets.loss[of == name])
        for name in names
        if (of == name).any()
    ]


def _show(
    recipe: Recipe, objective: MaskedObjective, model: Transformer, chosen: Chosen, device: torch.device
) -> list[MaskedSequence]:
    """Some sequences, spread over the chosen ones, in which something is masked."""
    short = np.flatnonzero(chosen.lengths <= max(_MOST_TOKENS, int(chosen.lengths.min())))
    places = short[spread(len(short), _SHOWN)]
    batch = objective.prepare([chosen[int(place)] for place in places], EVALUATION_SEED, EVALUATION_EPOCH)
    with autocast(device, recipe.train.precision):
        answers = _answer(objective, model, batch.to(device))
    rows, labels = batch.targets["rows"].tolist(), batch.targets["labels"].tolist()
    fates = _find_fates(objective, batch).tolist()
    asked = {row: _Asked(*each) for row, each in zip(rows, zip(answers, labels, fates, strict=True), strict=True)}
    shown, start = [], 0
    for number, length in zip(batch.samples.tolist(), batch.packed.lengths, strict=True):
        ids = batch.packed.input_ids[start : start + length].tolist()
        inside = {row - start: each for row, each in asked.items() if start <= row < start + length}
        tokens = _spell(objective, ids, inside)
        num_right = sum(token.get("is_right", False) for token in tokens)
        shown.append(MaskedSequence(sample=number, tokens=tokens, num_asked=len(inside), num_right=num_right))
        start += length
    return shown


def _answer(objective: MaskedObjective, model: Transformer, batch: Batch) -> list[list[Answer]]:
    """The likeliest tokens at every token to predict."""
    show = objective.tokenizer.tokens
    logits = model.heads["masked_lm"](model(batch.packed)[batch.targets["rows"]])
    likely = logits.float().softmax(dim=-1).topk(min(_TOP, logits.shape[-1]), dim=-1)
    return [
        [Answer(token=token, probability=share) for token, share in zip(show(row), shares, strict=True)]
        for row, shares in zip(likely.indices.tolist(), likely.values.tolist(), strict=True)
    ]


def _spell(objective: MaskedObjective, ids: list[int], asked: dict[int, _Asked]) -> list[Token]:
    """Tokens as running text: what stood there, whether a space stands before it, and what became of it."""
    show = objective.tokenizer.tokens
    seen, true_ids = show(ids), [asked[place].label if place in asked else index for place, index in enumerate(ids)]
    words = show(true_ids)
    tokens: list[Token] = []
    for place, word in enumerate(words):
        text, space = _read_token(word, words[place - 1] if place else "")
        token: Token = {"text": text, "space": space}
        if place in asked:
            answers, _, fate = asked[place]
            token["fate"] = fate  # type: ignore[typeddict-item]
            token["seen"] = _read_token(seen[place], "")[0]
            token["answers"] = answers
            token["is_right"] = answers[0]["token"] == word
        elif objective.is_special[ids[place]]:
            token["fate"] = "special"
        tokens.append(token)
    return tokens


def _read_token(word: str, before: str) -> tuple[str, bool]:
    """The characters of a token, and whether a space stands before it."""
    if word.startswith("##") and len(word) > 2:
        return word[2:], False
    if word.startswith(" "):
        return word.strip() or "␣", True
    is_chinese = bool(before) and join_chinese(f"{before[-1]} {word[:1]}")[1:2] != " "
    return word, not is_chinese and word not in _CLOSING and before not in _OPENING
