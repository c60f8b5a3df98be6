"""What is built on transformers works on a design that it has no class for: pipelines, the Trainer, adapters."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from decoder_peers import train as train_decoder
from opened_designs import build, draw, pad, save, wrap
from torch import nn

from groundup.checkpoint import pretrained
from groundup.decoding.config import Decoding
from groundup.errors import ConfigError
from groundup.model.config import CausalLMHead, ClassificationHead, MaskedLMHead, ModelConfig, TokenHead
from groundup.model.packed import Packed
from groundup.text.tokenizer import Tokenizer, train_tokenizer
from groundup.text.tokenizer_config import ByteBPE, WordPiece
from groundup.verbs.generate import generate

transformers = pytest.importorskip("transformers")
TEXTS = ["the cat sees a red bird", "a dog sees the cat", "我看书", "你看见红色的鸟"] * 3


def train_words() -> Tokenizer:
    return train_tokenizer(WordPiece(vocab_size=120), TEXTS)


def save_with(folder: Path, tokenizer: Tokenizer, head: object, **values: object) -> Path:
    sizes = {"vocab_size": tokenizer.vocab_size, "padding_id": tokenizer.pad_id, "num_token_types": 2}
    model = build(heads=(head,), **{**sizes, **values})
    labels = ["negative", "positive"] if hasattr(head, "num_labels") else None
    return save(folder, model, tokenizer_files=tokenizer.files(), labels=labels)


def test_texts_are_classified(tmp_path: Path) -> None:
    tokenizer = train_words()
    folder = save_with(tmp_path / "model", tokenizer, ClassificationHead(num_labels=2))
    classify = transformers.pipeline("text-classification", model=str(folder), top_k=None)
    model = pretrained.load(folder).model.eval()
    for text, found in zip(TEXTS[:4], classify(TEXTS[:4], batch_size=4), strict=True):
        ids = tokenizer.encode(text).input_ids
        shares = model.heads["classification"](model.summarize(Packed.from_sequences([ids]))).softmax(dim=-1)[0]
        assert {each["label"]: each["score"] for each in found} == {
            "negative": pytest.approx(shares[0].item(), abs=1e-5),
            "positive": pytest.approx(shares[1].item(), abs=1e-5),
        }


def test_masks_are_filled(tmp_path: Path) -> None:
    tokenizer = train_words()
    folder = save_with(tmp_path / "model", tokenizer, MaskedLMHead())
    model = pretrained.load(folder).model.eval()
    fill = transformers.pipeline("fill-mask", model=str(folder))
    for text in ("the [MASK] sees a bird", "我[MASK]书"):
        ids = tokenizer.encode(text).input_ids
        place = ids.tolist().index(tokenizer.mask_id)
        shares = model.heads["masked_lm"](model(Packed.from_sequences([ids])))[place].softmax(dim=-1)
        best = fill(text)[0]
        assert (best["token"], best["score"]) == (int(shares.argmax()), pytest.approx(shares.max().item(), abs=1e-5))


def test_words_are_tagged(tmp_path: Path) -> None:
    tokenizer = train_words()
    folder = save_with(tmp_path / "model", tokenizer, TokenHead(num_labels=2))
    tag = transformers.pipeline("token-classification", model=str(folder), ignore_labels=[])
    found = tag("the cat sees")
    assert [each["entity"] in ("negative", "positive") for each in found] == [True] * len(found) != []


def test_texts_are_written_on_in_both_languages(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(ByteBPE(vocab_size=300), TEXTS)
    base = build(causal=True, heads=(CausalLMHead(),)).config
    design = base.model_copy(update={"vocab_size": tokenizer.vocab_size, "padding_id": tokenizer.pad_id})
    model = train_decoder(ModelConfig(**dict(design)), tokenizer)
    folder = save(tmp_path / "model", model, tokenizer_files=tokenizer.files(for_prompts=True))
    write = transformers.pipeline("text-generation", model=str(folder))
    encode = transformers.AutoTokenizer.from_pretrained(folder)
    assert encode("the cat")["input_ids"] == [tokenizer.start_id, *tokenizer.encode_plain(["the cat"])[0].tolist()]
    allowed = [each for each in range(tokenizer.vocab_size) if each not in tokenizer.special_ids]
    for prompt in ("the cat", "我看"):
        (ours,) = generate(folder, [prompt], Decoding(max_tokens=8))
        (theirs,) = write(
            prompt,
            max_new_tokens=8,
            do_sample=False,
            return_full_text=False,
            prefix_allowed_tokens_fn=lambda *_: [*allowed, tokenizer.end_id],
            eos_token_id=tokenizer.end_id,
        )
        assert theirs["generated_text"].rstrip("\ufffd") == ours.text and ours.text


class Rows(torch.utils.data.Dataset):
    """Classes that the first token decides."""

    def __init__(self) -> None:
        self.ids = draw(*([5, 9, 3, 7] * 8))

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, number: int) -> dict[str, object]:
        return {"input_ids": self.ids[number].tolist(), "labels": int(self.ids[number][0] > 12)}


def collate(rows: list[dict]) -> dict[str, torch.Tensor]:
    batch = pad([torch.tensor(row["input_ids"]).numpy() for row in rows])
    return batch | {"labels": torch.tensor([row["labels"] for row in rows])}


def test_the_trainer_trains_and_saves(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    model = wrap("AutoModelForSequenceClassification", build(heads=(ClassificationHead(num_labels=2),)))
    before = model.model.state_dict()["blocks.0.attention.q.weight"].clone()
    settings = transformers.TrainingArguments(
        str(tmp_path / "run"),
        max_steps=30,
        per_device_train_batch_size=8,
        learning_rate=1e-2,
        report_to=[],
        save_steps=30,
        logging_steps=10,
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer = transformers.Trainer(model, settings, data_collator=collate, train_dataset=Rows())
    trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    assert losses[-1] < 0.7 * losses[0]
    saved = pretrained.load(tmp_path / "run" / "checkpoint-30").model
    state = model.model.state_dict()
    assert all(torch.equal(each, state[name]) for name, each in saved.state_dict().items())
    assert not torch.equal(before, state["blocks.0.attention.q.weight"])


class Adapter(nn.Module):
    """A linear map and what two small matrices add to it, as adapters of low rank are set in the place of one."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base, self.down = base, nn.Linear(base.in_features, 2, bias=False)
        self.up = nn.Linear(2, base.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.base(hidden) + self.up(self.down(hidden))


def test_modules_can_be_exchanged_by_name() -> None:
    """What peft does, without it: find by name, exchange in the parent, freeze all else, learn, write with a cache."""
    opened = wrap("AutoModelForCausalLM", build(causal=True, heads=(CausalLMHead(),)))
    batch = pad(draw(7, 5))
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    plain = opened(**batch, labels=labels)
    opened.requires_grad_(False)
    for name, module in list(opened.named_modules()):
        if name.rsplit(".")[-1] in ("q", "v"):
            setattr(opened.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2], Adapter(module))
    assert torch.equal(opened(**batch).logits, plain.logits)
    learning = [each for each in opened.parameters() if each.requires_grad]
    assert len(learning) == 2 * 2 * 2
    optimizer = torch.optim.Adam(learning, lr=1e-2)
    for _ in range(10):
        optimizer.zero_grad()
        opened(**batch, labels=labels).loss.backward()
        optimizer.step()
    changed = opened(**batch, labels=labels)
    assert changed.loss < plain.loss - 0.1
    prompt = {name: each[:1] for name, each in batch.items()}
    written = opened.generate(**prompt, max_new_tokens=4, do_sample=False, pad_token_id=0)
    with torch.no_grad():
        assert written[0, -1] == opened(written[:, :-1]).logits[0, -1].argmax()


def test_peft_adapts_saves_and_merges(tmp_path: Path) -> None:
    import peft

    folder = save(tmp_path / "base", build(causal=True, heads=(CausalLMHead(),)))
    settings = peft.LoraConfig(r=2, target_modules=["q", "v"], init_lora_weights=False, task_type="CAUSAL_LM")
    base, batch = transformers.AutoModelForCausalLM.from_pretrained(folder).eval(), pad(draw(7, 5))
    plain = base(**batch).logits
    adapted = peft.get_peft_model(base, settings).eval()
    found = adapted(**batch).logits
    assert not torch.allclose(found, plain, atol=1e-3)
    adapted.save_pretrained(tmp_path / "adapter")
    fresh = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    again = peft.PeftModel.from_pretrained(fresh, tmp_path / "adapter").eval()
    assert torch.allclose(again(**batch).logits, found, atol=1e-5)
    merged = again.merge_and_unload()
    assert torch.allclose(merged(**batch).logits, found, atol=1e-4)
    merged.save_pretrained(tmp_path / "merged")
    loaded = pretrained.load(tmp_path / "merged")
    assert not loaded.fresh and not loaded.dropped
    assert torch.equal(loaded.model.blocks[0].attention.q.weight, merged.model.blocks[0].attention.q.weight)


def test_what_a_packed_model_has_not_is_refused(tmp_path: Path) -> None:
    opened = transformers.AutoModelForCausalLM.from_pretrained(
        save(tmp_path, build(causal=True, heads=(CausalLMHead(),)))
    )
    batch = pad(draw(7, 5))
    with pytest.raises(ConfigError, match="output_attentions: are not kept"):
        opened(**batch, output_attentions=True)
