"""Going on with a model on text of another domain: more entries, replay of the old text, figures for both."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from groundup.errors import ConfigError
from groundup.text.tokenizer import Tokenizer
from groundup.training.fingerprint import fingerprint
from groundup.verbs.check import check
from groundup.verbs.evaluate import evaluate
from groundup.verbs.train import train

Make = Callable[..., dict]


@pytest.fixture
def domain(tmp_path: Path) -> dict[str, str]:
    """Medical words, English and Chinese, and a model that has read other text."""
    signs = ("redness", "bleeding", "fever")
    lines = [
        f"thrombocytopenia in patient {number % 7} with {signs[number % 3]} 血小板减少症患者 {number % 5}"
        for number in range(120)
    ]
    (tmp_path / "domain.txt").write_text("\n".join(lines[20:]) + "\n", encoding="utf-8")
    (tmp_path / "domain-valid.txt").write_text("\n".join(lines[:20]) + "\n", encoding="utf-8")
    return {"train": [str(tmp_path / "domain.txt")], "validation": [str(tmp_path / "domain-valid.txt")]}


def adapt(make_recipe: Make, domain: dict, name: str, steps: int = 8) -> dict:
    first = make_recipe("masked", "first")
    if not (Path(first["output"]) / "model").exists():
        train(first, quiet=True)
    recipe = make_recipe("masked", name, train={"steps": steps})
    others = [{"name": "general", "share": 0.3, **{key: recipe["data"][key] for key in ("train", "validation")}}]
    return recipe | {
        "tokenizer": {"kind": "extended", "path": first["output"], "add": 40, "min_frequency": 10},
        "model": {"kind": "pretrained", "path": first["output"]},
        "data": {"kind": "corpus", **domain, "others": others},
    }


def test_a_model_learns_new_words_and_is_measured_on_both_domains(make_recipe: Make, domain: dict) -> None:
    recipe = adapt(make_recipe, domain, "adapted")
    assert check(recipe).output_state
    done = train(recipe, quiet=True)
    assert {"perplexity", "perplexity[general]"} <= done.metrics.keys()
    old = Tokenizer.load(Path(recipe["model"]["path"]) / "model")
    new = Tokenizer.load(done.folder / "model")
    assert 0 < new.vocab_size - old.vocab_size <= 40
    assert old.unknown_id in old.encode_plain(["血小板减少症"])[0]
    assert new.unknown_id not in new.encode_plain(["血小板减少症"])[0]
    assert evaluate(done.folder).metrics["loss"].value == done.metrics["loss"].value
    from transformers import AutoModelForMaskedLM

    theirs = AutoModelForMaskedLM.from_pretrained(done.folder / "model")
    assert theirs.config.vocab_size == new.vocab_size
    ids = torch.from_numpy(new.encode("thrombocytopenia 血小板").input_ids).long()[None]
    assert torch.isfinite(theirs(ids).logits).all()


def test_new_rows_start_from_their_pieces(make_recipe: Make, domain: dict) -> None:
    from groundup.verbs.assemble import as_recipe, assemble, build_model

    recipe = as_recipe(adapt(make_recipe, domain, "start"))
    parts = assemble(recipe, recipe.folder, quiet=True)
    model, notes = build_model(recipe, parts)
    old = Tokenizer.load(Path(recipe.model.path) / "model")
    rows = model.embedding.token.weight
    made = {index: old.split_entry(parts.tokenizer.entry(index)) for index in range(old.vocab_size, len(rows))}
    assert any(made.values())
    for index, pieces in made.items():
        expected = rows[pieces].mean(dim=0) if pieces else rows[: old.vocab_size].mean(dim=0)
        assert torch.allclose(rows[index], expected, atol=1e-7)
    assert any(note.startswith(f"vocabulary: {len(made)} new entries") for note in notes)


def test_an_adaptation_that_is_killed_ends_with_the_same_bits(make_recipe: Make, domain: dict) -> None:
    whole, cut = adapt(make_recipe, domain, "whole"), adapt(make_recipe, domain, "cut")
    cut["train"] = cut["train"] | {"save_every": 1}
    whole["train"] = whole["train"] | {"save_every": 1}
    train(whole, quiet=True)
    from groundup.training.trainer import Trainer

    class Killed(BaseException):
        pass

    take, steps = Trainer._take_step, []

    def killed(self: Trainer, *arguments: object) -> object:
        steps.append(None)
        if len(steps) == 4:
            raise Killed
        return take(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_take_step", killed)
        with pytest.raises(Killed):
            train(cut, quiet=True)
    train(cut, quiet=True)
    assert fingerprint(Path(cut["output"])) == fingerprint(Path(whole["output"]))


def test_a_tokenizer_of_another_model_is_refused(make_recipe: Make, domain: dict, tmp_path: Path) -> None:
    recipe = adapt(make_recipe, domain, "wrong")
    words = ["".join(letters) for letters in itertools.permutations("abcdef", 3)]
    (tmp_path / "many.txt").write_text("\n".join([" ".join(words)] * 3) + "\n", encoding="utf-8")
    data = {"train": [str(tmp_path / "many.txt")]}
    other = make_recipe("masked", "other", data=data, tokenizer={"vocab_size": 1000}, train={"steps": 4})
    train(other, quiet=True)
    own = Tokenizer.load(Path(recipe["tokenizer"]["path"]) / "model")
    assert Tokenizer.load(Path(other["output"]) / "model").vocab_size > own.vocab_size
    recipe["tokenizer"] = recipe["tokenizer"] | {"path": other["output"]}
    with pytest.raises(ConfigError, match=r"tokenizer\.path: has \d+ entries, more than the model's"):
        train(recipe, quiet=True)
