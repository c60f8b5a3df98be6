"""How likely a model finds whole texts: the chain rule for what reads forward, pseudo-likelihood for what fills masks.

Of the second, every token is hidden alone and predicted from all others, and the logarithms are summed (Salazar et al.
2020): no probability of the text, but a score that tells two almost equal texts apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from groundup.errors import ConfigError, DataError
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer
from groundup.objectives.causal import CausalObjective
from groundup.objectives.hybrid import HybridObjective
from groundup.objectives.loss import token_losses
from groundup.objectives.masked import MaskedObjective
from groundup.objectives.mix import MixObjective
from groundup.objectives.protocol import Objective
from groundup.text.pack import cut_by_tokens

Reading = Literal["causal", "masked"]
"""From left to right, or every token from all others."""


class _Question(NamedTuple):
    """A sequence with the places that answer, and what they should say."""

    text: int
    input_ids: Int64[np.ndarray, " length"]
    rows: Int64[np.ndarray, " rows"]
    labels: Int64[np.ndarray, " rows"]
    is_ordered: bool
    """Whether each token sees those before it alone, although the stack would let it see all."""


def find_readings(objective: Objective) -> tuple[Reading, ...]:
    """How an objective's model can read a text, the way it is best known for first; none where it cannot."""
    match _find_reader(objective):
        case HybridObjective():
            return ("masked", "causal")
        case MaskedObjective():
            return ("masked",)
        case CausalObjective():
            return ("causal",)
        case _:
            return ()


def _find_reader(objective: Objective) -> Objective:
    """Of objectives that are trained together, the one that reads tokens."""
    parts = objective.objectives if isinstance(objective, MixObjective) else (objective,)
    return next((part for part in parts if isinstance(part, MaskedObjective)), objective)


def score_texts(
    model: Transformer,
    objective: Objective,
    texts: Sequence[str],
    *,
    reading: Reading | None = None,
    max_tokens: int = 16384,
    where: str = "texts",
) -> Float64[np.ndarray, " texts"]:
    """The sum over a text's tokens of the logarithm of their (pseudo-)probability, in nats.

    Args:
        model: in evaluation mode, with the head of the objective.
        objective: masked, causal or hybrid.
        texts: each fits into the model.
        reading: None takes the first of `find_readings`.
        max_tokens: computed at once.
        where: what the texts are, for errors.

    Raises:
        ConfigError: the objective cannot read so.
        DataError: a text has no token, or is too long.
    """
    objective, readings = _find_reader(objective), find_readings(objective)
    if not readings or (reading is not None and reading not in readings):
        kind = type(objective).__name__.removesuffix("Objective").lower()
        cure = f"read it {' or '.join(readings)}" if readings else "masked, causal and hybrid models can"
        raise ConfigError("reading", f"a model of kind {kind!r} does not read texts so", got=reading, cure=cure)
    questions = list(_ask(objective, texts, reading or readings[0], where))
    lengths = np.array([len(each.input_ids) for each in questions], dtype=np.int32)
    if (longest := int(lengths.max(initial=0))) > model.config.max_length:
        number = questions[int(lengths.argmax())].text
        what = f"is longer than the {model.config.max_length} positions of the model"
        raise DataError(f"{where}: {texts[number][:60]!r}", what, got=longest, cure="leave it out")
    scores = np.zeros(len(texts))
    with torch.inference_mode():
        for chosen in cut_by_tokens(np.arange(len(questions)), lengths, max_tokens):
            _answer(model, objective, [questions[int(number)] for number in chosen], scores)
    return scores


def _ask(objective: Objective, texts: Sequence[str], reading: Reading, where: str) -> Iterator[_Question]:
    tokenizer = objective.tokenizer
    if isinstance(objective, CausalObjective):
        for number, text in enumerate(texts):
            ids = objective.encode_start(text).astype(np.int64)
            yield _in_order(number, ids, len(ids) - len(tokenizer.encode_plain([text])[0]), False, text, where)
        return
    for number, (text, encoded) in enumerate(zip(texts, tokenizer.encode_batch(list(texts)), strict=True)):
        ids = encoded.input_ids.astype(np.int64)
        places = np.flatnonzero(_is_text(objective, ids))
        if not len(places):
            raise DataError(f"{where}: {text!r}", "has no token")
        if reading == "causal":
            last = int(places[-1]) + 1
            yield _in_order(number, ids[:last], int(places[0]), True, text, where)
            continue
        # One that is trained to predict a token at the place before it is asked there.
        shift = 1 if isinstance(objective, HybridObjective) else 0
        mask_id = tokenizer.require("mask_id")
        for place in places:
            hidden = ids.copy()
            hidden[place] = mask_id
            yield _Question(number, hidden, np.array([place - shift]), ids[place : place + 1], False)


def _in_order(number: int, ids: np.ndarray, num_given: int, is_ordered: bool, text: str, where: str) -> _Question:
    """Every token after the given ones, from those before it. Without a given one, the first is not asked."""
    first = max(1, num_given)
    if len(ids) <= first:
        raise DataError(f"{where}: {text!r}", "has no token to predict")
    return _Question(number, ids[:-1], np.arange(first - 1, len(ids) - 1), ids[first:], is_ordered)


def _is_text(objective: MaskedObjective | HybridObjective, ids: np.ndarray) -> Bool[np.ndarray, " length"]:
    masking = objective.masking if isinstance(objective, HybridObjective) else objective
    unknown = objective.tokenizer.unknown_id
    return ~masking.is_special[ids] | (ids == (-1 if unknown is None else unknown))


def _answer(
    model: Transformer, objective: Objective, questions: Sequence[_Question], scores: Float64[np.ndarray, " texts"]
) -> None:
    packed = Packed.from_sequences([each.input_ids for each in questions])
    if any(each.is_ordered for each in questions):
        packed = replace(packed, order=packed.position_ids.clone())
    elif isinstance(objective, HybridObjective):
        packed = replace(packed, order=torch.zeros_like(packed.position_ids))
    starts = np.cumsum([0, *packed.lengths])[:-1]
    rows = np.concatenate([each.rows + start for each, start in zip(questions, starts, strict=True)])
    labels = np.concatenate([each.labels for each in questions])
    device = next(model.parameters()).device
    hidden = model(packed.to(device), rows=torch.from_numpy(rows).to(device))
    losses: Tensor = token_losses(model.heads[objective.head.kind](hidden), torch.from_numpy(labels).to(device))
    numbers = np.repeat([each.text for each in questions], [len(each.rows) for each in questions])
    np.add.at(scores, numbers, -losses.double().cpu().numpy())
