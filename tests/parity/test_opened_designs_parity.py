"""A design of ours, opened by transformers, computes, learns and writes as its own classes do, and as we do."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from encoder_peers import PADDING, draw_batch
from encoder_peers import build_peer as build_encoder
from llama_peers import build_peer as build_llama
from opened_designs import build, draw, pad, save, wrap
from torch import Tensor

from groundup.checkpoint import pretrained
from groundup.decoding.config import Decoding
from groundup.decoding.generate import Writer
from groundup.model.config import CausalLMHead, ClassificationHead, MaskedLMHead, SpanHead
from groundup.model.packed import Packed

transformers = pytest.importorskip("transformers")
TOLERANCE = 1e-4
ENCODERS = {
    "AutoModel": "BertModel",
    "AutoModelForMaskedLM": "BertForMaskedLM",
    "AutoModelForSequenceClassification": "BertForSequenceClassification",
    "AutoModelForTokenClassification": "BertForTokenClassification",
    "AutoModelForQuestionAnswering": "BertForQuestionAnswering",
}


def draw_labels(auto: str, is_token: Tensor) -> dict[str, Tensor]:
    rows, columns = is_token.shape
    draw = torch.Generator().manual_seed(0)
    match auto:
        case "AutoModelForMaskedLM" | "AutoModelForTokenClassification":
            labels = torch.randint(0, 4, (rows, columns), generator=draw).masked_fill(~is_token, -100)
            labels[:, 0] = -100
            return {"labels": labels}
        case "AutoModelForSequenceClassification":
            return {"labels": torch.randint(0, 4, (rows,), generator=draw)}
        case "AutoModelForQuestionAnswering":
            return {"start_positions": torch.arange(rows), "end_positions": torch.arange(rows) + 2}
    return {}


STORES = ("cache", "past_key_values")
"""What transformers keeps for its next step."""


def compare(ours: torch.nn.Module, theirs: torch.nn.Module, batch: dict[str, Tensor]) -> dict[str, float]:
    """Differences of all that both answer, at tokens, and of the gradient of the token embedding."""
    is_token, found = batch["attention_mask"].bool(), {}
    outputs = [model(**batch, output_hidden_states=True) for model in (ours, theirs)]
    assert len(outputs[0].hidden_states) == len(outputs[1].hidden_states)
    for name, other in outputs[1].items():
        if name in STORES:
            continue
        pairs = zip(outputs[0][name], other, strict=True) if name == "hidden_states" else [(outputs[0][name], other)]
        for one, two in pairs:
            gap = (one - two).detach()
            gap = gap[is_token] if gap.shape[:2] == is_token.shape else gap
            found[name] = max(found.get(name, 0.0), float(gap.abs().max()))
    if outputs[0].get("loss") is not None:
        for model, output in zip((ours, theirs), outputs, strict=True):
            model.zero_grad()
            output.loss.backward()
        one, two = (model.get_input_embeddings().weight.grad for model in (ours, theirs))
        found["gradient"] = float((one - two).norm() / two.norm())
    return found


@pytest.mark.parametrize("auto", ENCODERS)
def test_an_encoder_answers_as_theirs(auto: str, tmp_path: Path) -> None:
    peer = build_encoder(ENCODERS[auto])
    peer.save_pretrained(tmp_path)
    ours = wrap(auto, pretrained.load(tmp_path).model)
    drawn = draw_batch()
    ids, types = (
        [each for each in kind if auto[-9:] != "Answering" or len(each) == 11] for kind in (drawn.ids, drawn.types)
    )
    batch = pad(ids, fill=PADDING) | {"token_type_ids": pad(types)["input_ids"]}
    batch |= draw_labels(auto, batch["attention_mask"].bool())
    found = compare(ours, peer, batch)
    assert ("loss" in found and "gradient" in found) == (auto != "AutoModel")
    assert max(found.values()) < TOLERANCE, found
    # The control: other token types.
    other = ours(**{**batch, "token_type_ids": 1 - batch["token_type_ids"]})
    name = "last_hidden_state" if auto == "AutoModel" else "start_logits" if "Question" in auto else "logits"
    assert (other[name] - peer(**batch)[name])[: len(ids), 0].abs().max() > 10 * TOLERANCE


def test_spans_are_sought_among_tokens_alone() -> None:
    ours = wrap("AutoModelForQuestionAnswering", build(heads=(SpanHead(),)))
    ids = draw(9, 4)
    together = ours(**pad(ids), start_positions=torch.tensor([5, 1]), end_positions=torch.tensor([6, 3]))
    alone = [
        ours(**pad([each]), start_positions=torch.tensor([start]), end_positions=torch.tensor([end]))
        for each, start, end in zip(ids, (5, 1), (6, 3), strict=True)
    ]
    assert together.loss.item() == pytest.approx(sum(each.loss.item() for each in alone) / 2, abs=1e-5)
    assert together.start_logits[1].argmax() < 4


@pytest.mark.parametrize(("problem", "labels"), [("regression", [0.5, -1.0]), ("multi_label_classification", None)])
def test_losses_go_by_the_problem(problem: str, labels: list[float] | None) -> None:
    size = 1 if labels else 3
    ours = wrap("AutoModelForSequenceClassification", build(heads=(ClassificationHead(num_labels=size),)))
    ours.config.problem_type = problem
    batch, targets = pad(draw(5, 3)), torch.tensor(labels or [[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    out = ours(**batch, labels=targets)
    logits = out.logits.detach()
    expected = (
        (logits[:, 0] - targets).square().mean()
        if labels
        else torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
    )
    assert out.loss.item() == pytest.approx(expected.item(), abs=1e-6)


@pytest.mark.parametrize("left", [False, True])
def test_a_decoder_answers_as_theirs(left: bool, tmp_path: Path) -> None:
    peer = build_llama()
    peer.save_pretrained(tmp_path)
    ours = wrap("AutoModelForCausalLM", pretrained.load(tmp_path).model)
    batch = pad(draw_batch().ids, left=left)
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    # What stands first has nothing before it; theirs would predict it from padding.
    labels = labels.masked_fill(batch["attention_mask"].cumsum(dim=1) == 1, -100)
    found = compare(ours, peer, batch | {"labels": labels})
    assert max(found.values()) < TOLERANCE, found
    assert {"loss", "logits", "hidden_states", "gradient"} <= found.keys()
    with torch.no_grad():
        kept, whole = ours(**batch, logits_to_keep=3).logits, ours(**batch).logits[:, -3:]
        is_token = batch["attention_mask"][:, -3:].bool()
        assert torch.allclose(kept[is_token], whole[is_token], atol=1e-5)
        # The control: a batch whose padding is taken for tokens.
        assert (ours(batch["input_ids"]).logits - peer(**batch).logits)[-1, -1].abs().max() > 10 * TOLERANCE
        losses = [ours(**batch, labels=each).loss.item() for each in (labels, batch["input_ids"])]
    assert losses[0] == losses[1], "padding adds nothing to a loss"


def test_a_folder_opens_and_writes_as_we_do(tmp_path: Path) -> None:
    model = build(causal=True, heads=(CausalLMHead(),))
    save(tmp_path / "model", model)
    opened = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    assert type(opened).__name__ == "GroundupForCausalLM"
    prompts, end = draw(3, 11, 1, 7), 4
    batch = pad(prompts, left=True)
    ways = [
        ({}, Decoding(max_tokens=12)),
        (
            {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2},
            Decoding(max_tokens=12, repetition_penalty=1.3, no_repeat_ngram=2),
        ),
        ({"num_beams": 3, "length_penalty": 0.6}, Decoding(max_tokens=12, num_beams=3, length_penalty=0.6)),
        (
            {"num_beams": 4, "num_return_sequences": 2, "early_stopping": True},
            Decoding(max_tokens=12, num_beams=4, num_return=2, early_stopping=True),
        ),
    ]
    seen = []
    for theirs, ours in ways:
        options = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": end, "pad_token_id": end}
        # Penalties count padding on the left as tokens there, so those prompts go one at a time.
        parts = [pad([each]) for each in prompts] if "repetition_penalty" in theirs else [batch]
        rows = [
            row[part["input_ids"].shape[1] :].tolist()
            for part in parts
            for row in opened.generate(**part, **options, **theirs)
        ]
        written = Writer(model, lambda ids: "", end_id=end).write(prompts, ours)
        expected = [list(each.token_ids) for each in written]
        assert [row[: row.index(end)] if end in row else row for row in rows] == expected
        seen.append(expected)
    assert all(one != other for one, other in pairwise(seen))


def test_each_token_is_read_once_while_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = wrap("AutoModelForCausalLM", build(causal=True, heads=(CausalLMHead(),)))
    read: list[int] = []
    opened.model.embedding.register_forward_hook(lambda *given: read.append(given[1][0].num_tokens))
    opened.generate(**pad(draw(3, 7), left=True), max_new_tokens=5, do_sample=False, use_cache=True, pad_token_id=0)
    assert read == [10, 2, 2, 2, 2]
    assert opened(**pad(draw(3, 7))).logits.shape == (2, 7, 26), "and all is as before"


def test_loglikelihoods_are_asked_for_as_in_the_evaluation_harness() -> None:
    """Its calls: rows padded with zeros on the right, no mask, log_softmax, the tokens of the continuation gathered."""
    model = build(causal=True, heads=(CausalLMHead(),))
    opened = wrap("AutoModelForCausalLM", model)
    opened.tie_weights()
    texts, cuts = draw(9, 5, 12), (4, 3, 11)
    batch = pad([ids[:-1] for ids in texts])
    with torch.no_grad():
        logits = opened(batch["input_ids"]).logits.log_softmax(dim=-1)
        for ids, cut, found in zip(texts, cuts, logits, strict=True):
            asked = torch.from_numpy(ids[cut:])[:, None]
            theirs = found[cut - 1 : len(ids) - 1].gather(1, asked).sum()
            ours = model.heads["causal_lm"](model(Packed.from_sequences([ids[:-1]]))).log_softmax(dim=-1)
            assert theirs.item() == pytest.approx(ours[cut - 1 :].gather(1, asked).sum().item(), abs=TOLERANCE)
    assert (opened.config.max_position_embeddings, opened.config.vocab_size) == (40, 26)


def test_masked_tokens_do_not_depend_on_padding() -> None:
    model = build(heads=(MaskedLMHead(),))
    opened, ids = wrap("AutoModelForMaskedLM", model), draw(9, 4, 6)
    for left in (False, True):
        batch = pad(ids, left=left)
        logits = opened(**batch).logits
        for row, each in enumerate(ids):
            ours = model.heads["masked_lm"](model(Packed.from_sequences([each])))
            assert (logits[row][batch["attention_mask"][row].bool()] - ours).abs().max() < TOLERANCE
