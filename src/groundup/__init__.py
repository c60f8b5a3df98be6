"""groundup: design, pretrain, fine-tune, evaluate and ship transformer language models, in English and Chinese.

Every verb of the command line is one call here: `groundup.train("recipes/sst2.yaml", ["seed=2"])`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from groundup.decoding.config import Decoding
    from groundup.recipe import Recipe
    from groundup.tour.quickstart import quickstart
    from groundup.verbs.attention import inspect_attention
    from groundup.verbs.check import check
    from groundup.verbs.compare import compare
    from groundup.verbs.data import prepare, show, tokenizer
    from groundup.verbs.data_sets import check_data, list_data
    from groundup.verbs.design import inspect_design
    from groundup.verbs.evaluate import evaluate, evaluate_pairs
    from groundup.verbs.generate import generate
    from groundup.verbs.inspect import inspect
    from groundup.verbs.predict import predict
    from groundup.verbs.predict_file import predict_file
    from groundup.verbs.predict_set import predict_set
    from groundup.verbs.report import report
    from groundup.verbs.series import train_seeds
    from groundup.verbs.train import train

_HOMES = {
    "Decoding": "decoding.config",
    "Recipe": "recipe",
    "check": "verbs.check",
    "check_data": "verbs.data_sets",
    "compare": "verbs.compare",
    "evaluate": "verbs.evaluate",
    "evaluate_pairs": "verbs.evaluate",
    "generate": "verbs.generate",
    "inspect": "verbs.inspect",
    "inspect_attention": "verbs.attention",
    "inspect_design": "verbs.design",
    "list_data": "verbs.data_sets",
    "predict": "verbs.predict",
    "predict_file": "verbs.predict_file",
    "predict_set": "verbs.predict_set",
    "prepare": "verbs.data",
    "quickstart": "tour.quickstart",
    "report": "verbs.report",
    "show": "verbs.data",
    "tokenizer": "verbs.data",
    "train": "verbs.train",
    "train_seeds": "verbs.series",
}

__all__ = [
    "Decoding",
    "Recipe",
    "check",
    "check_data",
    "compare",
    "evaluate",
    "evaluate_pairs",
    "generate",
    "inspect",
    "inspect_attention",
    "inspect_design",
    "list_data",
    "predict",
    "predict_file",
    "predict_set",
    "prepare",
    "quickstart",
    "report",
    "show",
    "tokenizer",
    "train",
    "train_seeds",
]


def __getattr__(name: str) -> object:
    """Import a verb when it is first used, so that `import groundup` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'groundup' has no attribute {name!r}")
    return getattr(importlib.import_module(f"groundup.{_HOMES[name]}"), name)
