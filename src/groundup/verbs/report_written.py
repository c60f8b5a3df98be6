"""What a report says of a decoder: what it writes after prompts of the validation data, beside what stands there."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from groundup.decoding.config import Decoding
from groundup.model.transformer import Transformer
from groundup.objectives.causal import CausalObjective
from groundup.objectives.seq2seq import Seq2Seq, Seq2SeqObjective
from groundup.readers.source import ExampleSource
from groundup.recipe import Recipe
from groundup.reporting.content import Split, Writing, WrittenText
from groundup.verbs.assemble import Parts
from groundup.verbs.generate import build_writer, generate
from groundup.verbs.report_parts import count_tokens, make_bucket, make_buckets
from groundup.verbs.report_run import clip_text
from groundup.verbs.report_sample import Chosen, spread
from groundup.verbs.trained import Trained

_ROWS: Final = 64
"""Prompts with a completion that is known: one batch."""
_SHOWN: Final = {False: 12, True: 6}
"""Of wrong and of right ones."""
_TEXTS: Final = 4
"""Texts that are written on."""
_WRITTEN_TOKENS: Final = 48
_SHOWN_CHARS: Final = 400


def measure_writing(recipe: Recipe, parts: Parts, model: Transformer, chosen: Chosen, split: Split) -> Writing | None:
    """Completions scored one by one, or some texts written on."""
    assert isinstance(parts.objective, CausalObjective | Seq2SeqObjective)
    trained = Trained(Path(recipe.output), model, parts.tokenizer, parts.objective, recipe)
    if isinstance(recipe.data, ExampleSource) and recipe.data.has_pair:
        return _complete(recipe, recipe.data, trained, len(chosen.samples), split)
    return _write_on(trained, chosen, split)


def _complete(recipe: Recipe, data: ExampleSource, trained: Trained, count: int, split: Split) -> Writing:
    table = data.read(split, needs_label=False)
    rows = [table[int(number)] for number in spread(count, _ROWS)]
    objective = recipe.objective
    most = objective.resolved_max_target_length if isinstance(objective, Seq2Seq) else objective.max_length
    answers = generate(trained, [row.text for row in rows], Decoding(max_tokens=most))
    is_exact = np.array([each.text == row.pair for each, row in zip(answers, rows, strict=True)])
    texts = [" ".join(row.texts) for row in rows]
    lengths = count_tokens(trained.tokenizer, [row.text for row in rows])
    shown: list[WrittenText] = []
    for wanted in (False, True):
        places = np.flatnonzero(is_exact == wanted)
        for place in places[spread(len(places), _SHOWN[wanted])] if len(places) else ():
            row = rows[place]
            shown.append(_describe(row.line, row.text, row.pair or "", answers[place].text, bool(wanted)))
    return {
        "split": split,
        "rows": len(rows),
        "of": count,
        "exact_rows": int(is_exact.sum()),
        "wrong_rows": int((~is_exact).sum()),
        "buckets": [make_bucket("all", "all", is_exact), *make_buckets(texts, lengths, is_exact)],
        "shown": shown,
    }


def _write_on(trained: Trained, chosen: Chosen, split: Split) -> Writing | None:
    """The second half of some samples, written anew. Nothing is right or wrong in it."""
    long = np.flatnonzero(chosen.lengths >= np.quantile(chosen.lengths, 0.5))
    samples = [chosen[int(long[place])] for place in spread(len(long), _TEXTS)]
    halves = [max(1, min(_WRITTEN_TOKENS, len(sample.input_ids) // 2)) for sample in samples]
    prompts = [sample.input_ids[:half] for sample, half in zip(samples, halves, strict=True)]
    answers = build_writer(trained).write(prompts, Decoding(max_tokens=_WRITTEN_TOKENS), batch_size=_TEXTS)
    decode, special = trained.tokenizer.decode, {"skip_special": True}
    shown = [
        _describe(
            sample.index,
            decode(prompt, **special),
            decode(sample.input_ids[len(prompt) : len(prompt) + _WRITTEN_TOKENS], **special),
            answer.text,
            None,
        )
        for sample, prompt, answer in zip(samples, prompts, answers, strict=True)
    ]
    return {
        "split": split,
        "rows": len(shown),
        "of": len(chosen.samples),
        "exact_rows": None,
        "wrong_rows": None,
        "buckets": [],
        "shown": shown,
    }


def _describe(number: int, prompt: str, expected: str, written: str, is_right: bool | None) -> WrittenText:
    prompt, expected, written = (clip_text(text, _SHOWN_CHARS) for text in (prompt, expected, written))
    return {"number": number, "prompt": prompt, "expected": expected, "written": written, "is_right": is_right}
