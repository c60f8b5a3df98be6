"""Generate: let a trained decoder write on, or answer to what its encoder reads, prepared exactly as in training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from groundup.decoding.config import Decoding
from groundup.decoding.generate import Piece, Writer, Written
from groundup.errors import ConfigError
from groundup.objectives.causal import CausalObjective
from groundup.objectives.restoring import RestoringObjective
from groundup.objectives.seq2seq import Seq2SeqObjective
from groundup.verbs.trained import Trained, check_utf8, load_trained


def generate(
    model: str | Path | Trained, prompts: Sequence[str], decoding: Decoding | None = None, *, batch_size: int = 64
) -> list[Written]:
    """What the model writes after each prompt, in their order; `num_return` answers to one stand side by side.

    A model that learnt completions gets its prompts with the separator of its training, an encoder-decoder reads them
    as sources; any other writes on.

    Args:
        model: a model folder, a run folder, a recipe, or a model that is loaded already.
        prompts: texts to go on from.
        decoding: greedy by default.
        batch_size: texts at a time; it changes no answer but by rounding.
    """
    trained = model if isinstance(model, Trained) else load_trained(model)
    writer = build_writer(trained)
    return writer.write(
        [encode_prompt(trained, each) for each in prompts], decoding or Decoding(), batch_size=batch_size
    )


def stream(model: str | Path | Trained, prompt: str, decoding: Decoding | None = None) -> Iterator[Piece]:
    """The same for one prompt, piece by piece as it is written; not for beams."""
    trained = model if isinstance(model, Trained) else load_trained(model)
    return build_writer(trained).stream([encode_prompt(trained, prompt)], decoding or Decoding())


def build_writer(trained: Trained) -> Writer:
    """The decoder with its tokenizer's ends. On a GPU where there is one."""
    if isinstance(trained.objective, RestoringObjective):
        what, cure = "cannot write: it has learnt to restore texts", "fine-tune it with objective.kind=seq2seq"
        raise ConfigError(str(trained.folder), what, got=trained.objective.config.kind, cure=cure)
    if not isinstance(trained.objective, CausalObjective | Seq2SeqObjective):
        kind = trained.objective.config.kind
        raise ConfigError(
            str(trained.folder), "cannot write: it is no decoder", got=kind, cure="use `groundup predict`"
        )
    tokenizer = trained.tokenizer
    trained.model.to("cuda" if torch.cuda.is_available() else "cpu")
    return Writer(
        trained.model,
        lambda ids: tokenizer.decode(ids, skip_special=True),
        end_id=tokenizer.end_id,
        banned_ids=[*tokenizer.special_ids, *range(tokenizer.vocab_size, trained.model.config.vocab_size)],
        start_ids=trained.objective.start_ids if isinstance(trained.objective, Seq2SeqObjective) else (),
    )


def encode_prompt(trained: Trained, prompt: str) -> np.ndarray:
    """The ids to go on from, or to answer to. Too long a prompt loses its beginning, too long a source its end."""
    objective = trained.objective
    check_utf8(prompt, "prompt")
    if isinstance(objective, Seq2SeqObjective):
        return objective.encode_source(prompt)
    assert isinstance(objective, CausalObjective)
    ids = objective.encode_prompt(prompt) if trained.has_completions else objective.encode_start(prompt)
    room = min(objective.config.max_length, trained.model.config.max_length)
    return ids if len(ids) < room or not trained.has_completions else np.concatenate([ids[:1], ids[-room // 2 :]])
