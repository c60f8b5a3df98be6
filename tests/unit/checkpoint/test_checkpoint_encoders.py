"""Folders of RoBERTa, ALBERT and ELECTRA that do not hold together: what is wrong is told by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from groundup.checkpoint.pretrained import load, save
from groundup.errors import GroundupError
from groundup.families.albert import ALBERT
from groundup.families.electra import ELECTRA
from groundup.families.encoder import EncoderFamily
from groundup.families.roberta import ROBERTA
from groundup.model.config import ClassificationHead, Head, MaskedLMHead, MultipleChoiceHead, ReplacedHead
from groundup.model.initialize import initialize
from groundup.model.transformer import Transformer

VALUES = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 20,
    "embedding_size": 8,
    "num_hidden_groups": 2,
}
Tensors = dict[str, torch.Tensor]


def write(folder: Path, family: EncoderFamily, *heads: Head) -> Path:
    """As if somebody else had written it."""
    values = {key: value for key, value in VALUES.items() if key in family.settings()}
    model = Transformer(family.to_config(values, (), heads, "config.json"))
    initialize(model, 3)
    save(folder, model, tokenizer_files={}, manifest={}, card="")
    (folder / "groundup.json").unlink()
    return folder


def edit(folder: Path, change: Callable[[Tensors], Any], **values: Any) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, folder / "model.safetensors")
    content = json.loads((folder / "config.json").read_text()) | values
    (folder / "config.json").write_text(json.dumps(content))


def keep(tensors: Tensors) -> None:
    """Nothing is wrong with the tensors."""


GROUP = "albert.encoder.albert_layer_groups."
FAULTS: dict[str, tuple[EncoderFamily, Head, Callable[[Tensors], Any], dict[str, Any], str]] = {
    "a decoder that is no embedding": (
        ROBERTA,
        MaskedLMHead(),
        lambda tensors: tensors.update({"lm_head.decoder.weight": torch.ones(40, 16)}),
        {},
        r"'lm_head\.decoder\.weight' differs from 'embedding\.token\.weight', with which it is tied; set",
    ),
    "another decoder's bias": (
        ALBERT,
        MaskedLMHead(),
        lambda tensors: tensors.update({"predictions.decoder.bias": torch.ones(40)}),
        {},
        r"'predictions\.decoder\.bias' differs from 'heads\.masked_lm\.bias'",
    ),
    "a generator's decoder that is no embedding": (
        ELECTRA,
        MaskedLMHead(),
        lambda tensors: tensors.update({"generator_lm_head.weight": torch.ones(40, 8)}),
        {},
        r"'generator_lm_head\.weight' differs from 'embedding\.token\.weight'",
    ),
    "a head that is named and not there": (
        ROBERTA,
        MaskedLMHead(),
        lambda tensors: [tensors.pop(name) for name in list(tensors) if name.startswith("lm_head")],
        {},
        r"lacks the tensors 'lm_head\.bias', 'lm_head\.dense\.bias'",
    ),
    "half a classifier": (
        ROBERTA,
        ClassificationHead(num_labels=3),
        lambda tensors: tensors.pop("classifier.dense.weight"),
        {},
        r"lacks the tensor 'classifier\.dense\.weight'",
    ),
    "a classifier of more labels": (
        ELECTRA,
        ClassificationHead(num_labels=3),
        keep,
        {"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 0, "b": 1}},
        r"'classifier\.out_proj\.\w+' has another shape than config\.json gives it, \[2",
    ),
    "no layer in front of the choice": (
        ELECTRA,
        MultipleChoiceHead(),
        lambda tensors: tensors.pop("sequence_summary.summary.weight"),
        {},
        r"lacks the tensor 'sequence_summary\.summary\.weight'",
    ),
    "no map behind the embedding": (
        ELECTRA,
        ReplacedHead(),
        lambda tensors: tensors.pop("electra.embeddings_project.weight"),
        {},
        r"lacks the tensor 'electra\.embeddings_project\.weight'",
    ),
    "an embedding of another width": (
        ALBERT,
        MaskedLMHead(),
        keep,
        {"embedding_size": 12},
        r"has another shape than config\.json gives it, \[\d+, 12\]|has another shape than config\.json gives it, \[12",
    ),
    "a group too many": (
        ALBERT,
        MaskedLMHead(),
        keep,
        {"num_hidden_groups": 1},
        r"holds the tensors 'albert\.encoder\.albert_layer_groups\.1\.albert_layers\.0\.[^;]*that the design does not",
    ),
    "a group too few": (
        ALBERT,
        MaskedLMHead(),
        lambda tensors: [tensors.pop(name) for name in list(tensors) if name.startswith(f"{GROUP}1.")],
        {},
        r"lacks the tensors 'albert\.encoder\.albert_layer_groups\.1\.albert_layers\.0\.",
    ),
    "an inner block that the groups do not have": (
        ALBERT,
        MaskedLMHead(),
        lambda tensors: tensors.update({f"{GROUP}0.albert_layers.1.ffn.bias": torch.zeros(24)}),
        {},
        r"holds the tensor 'albert\.encoder\.albert_layer_groups\.0\.albert_layers\.1\.ffn\.bias'",
    ),
    "positions that do not begin behind the padding": (
        ROBERTA,
        MaskedLMHead(),
        keep,
        {"max_position_embeddings": 21},
        r"position_embeddings\.weight' has another shape than config\.json gives it, \[21, 16\], got \[20, 16\]",
    ),
    "a buffer that does not count": (
        ROBERTA,
        MaskedLMHead(),
        lambda tensors: tensors.update({"roberta.embeddings.position_ids": torch.arange(20)[None] + 2}),
        {},
        r"'roberta\.embeddings\.position_ids' holds other values than the model computes with",
    ),
    "another family's name": (
        ROBERTA,
        MaskedLMHead(),
        keep,
        {"model_type": "robertta"},
        r"model_type: is not supported, got 'robertta'; did you mean 'roberta'",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_folder_that_does_not_hold_together(fault: str, tmp_path: Path) -> None:
    family, head, change, values, problem = FAULTS[fault]
    folder = write(tmp_path / "model", family, head)
    load(folder)
    edit(folder, change, **values)
    with pytest.raises(GroundupError, match=problem) as caught:
        load(folder)
    assert str(caught.value).startswith(str(folder))


def test_buffers_and_copies_that_agree_change_nothing(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", ROBERTA, MaskedLMHead())
    before = load(folder).model.state_dict()
    edit(
        folder,
        lambda tensors: tensors.update(
            {
                "lm_head.decoder.weight": tensors["roberta.embeddings.word_embeddings.weight"],
                "lm_head.decoder.bias": tensors["lm_head.bias"],
                "roberta.embeddings.position_ids": torch.arange(20)[None],
            }
        ),
    )
    after = load(folder)
    assert after.dropped == () and all(
        torch.equal(before[name], each) for name, each in after.model.state_dict().items()
    )


def test_heads_are_exchanged(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", ROBERTA, MaskedLMHead())
    loaded = load(folder, heads=[ClassificationHead(num_labels=3)])
    assert {name.split(".")[1] for name in loaded.fresh} == {"classification"} and len(loaded.fresh) == 4
    assert all(name.startswith("lm_head.") for name in loaded.dropped) and len(loaded.dropped) == 5
    kept = load(
        write(tmp_path / "two", ROBERTA, ClassificationHead(num_labels=3)), heads=[ClassificationHead(num_labels=3)]
    )
    assert kept.fresh == kept.dropped == ()
    other = load(tmp_path / "two", heads=[ClassificationHead(num_labels=5)])
    assert "heads.classification.transform.dense.weight" in other.fresh, "of other classes, the whole head is another"
