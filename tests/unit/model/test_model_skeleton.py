"""A model without weights has the modules and shapes of the real one and costs nothing."""

from __future__ import annotations

import subprocess
import sys

import torch

from groundup.model.config import ClassificationHead, MaskedLMHead, ModelConfig
from groundup.model.initialize import initialize
from groundup.model.skeleton import build_skeleton
from groundup.model.transformer import Transformer

CONFIG = ModelConfig(vocab_size=20, hidden_size=8, heads=(MaskedLMHead(), ClassificationHead(num_labels=2)))


def test_it_has_the_shapes_of_the_model_and_no_values() -> None:
    before = torch.get_rng_state()
    skeleton = build_skeleton(CONFIG)
    assert torch.equal(before, torch.get_rng_state())
    real = Transformer(CONFIG)
    assert [(name, each.shape) for name, each in skeleton.named_parameters()] == [
        (name, each.shape) for name, each in real.named_parameters()
    ]
    assert all(each.is_meta for each in skeleton.parameters())


def test_it_becomes_the_model_when_it_is_filled() -> None:
    skeleton, real = build_skeleton(CONFIG), Transformer(CONFIG)
    initialize(real, 1)
    skeleton.load_state_dict(real.state_dict(), assign=True)
    assert all(each.requires_grad and not each.is_meta for each in skeleton.parameters())
    rows = torch.randn(3, 8)
    assert torch.equal(skeleton.heads["masked_lm"](rows), real.heads["masked_lm"](rows)), "the tied weight included"


def test_a_model_built_afterwards_is_initialised_as_ever() -> None:
    torch.manual_seed(0)
    one = torch.nn.Linear(4, 4).weight
    build_skeleton(CONFIG)
    torch.manual_seed(0)
    assert torch.equal(one, torch.nn.Linear(4, 4).weight)


def test_it_does_not_import_the_compiler() -> None:
    program = (
        "import sys; from groundup.model.config import ModelConfig; from groundup.model.skeleton import build_skeleton;"
        "build_skeleton(ModelConfig(vocab_size=9)); print('torch._dynamo' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out == "False\n"
