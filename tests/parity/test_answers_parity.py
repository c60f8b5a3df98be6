"""Answers in passages as in transformers: logits, loss and gradients of every encoder that has the class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from decoder_peers import load_from
from encoder_peers import HEADS, build_peer, draw_batch, family_of

from groundup.model.transformer import Transformer
from groundup.objectives.protocol import Batch
from groundup.tasks.question_answering import AnsweringTask, QuestionAnswering
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer, WordPiece, train_tokenizer

transformers = pytest.importorskip("transformers")

ARCHITECTURES = [name for name, heads in HEADS.items() if heads == ("span",)]
LENGTH = 11


@pytest.fixture(scope="module")
def task() -> AnsweringTask:
    tokenizer: Tokenizer = train_tokenizer(WordPiece(vocab_size=60, min_frequency=1), ["a b c"])
    return QuestionAnswering().build(tokenizer, ())


def make_batch(task: AnsweringTask, architecture: str) -> tuple[Batch, dict[str, torch.Tensor]]:
    """Windows of one length, which both see alike, and the inputs of the peer."""
    drawn = draw_batch(has_padding_id="roberta" not in family_of(architecture).model_type)
    ids, types = ([each for each in side if len(each) == LENGTH] for side in (drawn.ids, drawn.types))
    answers = [(3, 5), (0, 0)]
    samples = []
    for number, (start, end) in enumerate(answers):
        of_row = {"start": start, "end": end, "null": 0, "question": number}
        tokens = {name: np.arange(LENGTH, dtype=np.int32) for name in ("first", "last")}
        targets = {name: np.asarray(value) for name, value in of_row.items()} | tokens
        arrays = (ids[number].astype(np.int32), types[number].astype(np.int32))
        samples.append(Sample(number, *arrays, targets=targets))
    inputs = {"input_ids": np.stack(ids), "token_type_ids": np.stack(types), "attention_mask": np.ones((2, LENGTH))}
    inputs |= {name: np.array([pair[side] for pair in answers]) for side, name in enumerate(("start", "end"))}
    tensors = {name: torch.from_numpy(np.asarray(values)).long() for name, values in inputs.items()}
    tensors |= {f"{name}_positions": tensors.pop(name) for name in ("start", "end")}
    return task.prepare(samples, 0, 0), tensors


def gradient(module: torch.nn.Module, loss: torch.Tensor, name: str) -> torch.Tensor:
    module.zero_grad()
    loss.backward()
    return dict(module.named_parameters())[name].grad


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_loss_and_its_gradients(architecture: str, task: AnsweringTask, tmp_path: Path) -> None:
    peer = build_peer(architecture)
    model: Transformer = load_from(peer, tmp_path).double()
    peer = peer.double()
    batch, inputs = make_batch(task, architecture)
    theirs = peer(**inputs).loss
    loss = task.loss(model, batch)
    ours = loss.sum / loss.count
    assert loss.count == 2 and abs(ours.item() - theirs.item()) < 1e-6 * theirs.item()
    linear = "classifier.weight" if "ModernBert" in architecture else "qa_outputs.weight"
    expected = gradient(peer, theirs, linear)
    assert (gradient(model, ours, "heads.span.linear.weight") - expected).norm() < 1e-5 * expected.norm()
    moved = {**inputs, "end_positions": inputs["end_positions"] + 1}
    assert abs(peer(**moved).loss.item() - ours.item()) > 1e-3, "another end is another loss"


def test_every_encoder_with_the_class_is_compared() -> None:
    families = {family_of(name).model_type for name in ARCHITECTURES}
    assert families == {"bert", "roberta", "xlm-roberta", "albert", "electra", "modernbert"}
