"""groundup: design, pretrain, fine-tune, evaluate and ship transformer language models, in English and Chinese.

Every verb of the command line is one call here: `groundup.train("recipes/sst2.yaml", ["seed=2"])`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from groundup.recipe import Recipe
    from groundup.verbs.check import check
    from groundup.verbs.data import prepare, show, tokenizer
    from groundup.verbs.evaluate import evaluate
    from groundup.verbs.inspect import inspect
    from groundup.verbs.predict import predict
    from groundup.verbs.train import train

_HOMES = {
    "Recipe": "recipe",
    "check": "verbs.check",
    "evaluate": "verbs.evaluate",
    "inspect": "verbs.inspect",
    "predict": "verbs.predict",
    "prepare": "verbs.data",
    "show": "verbs.data",
    "tokenizer": "verbs.data",
    "train": "verbs.train",
}

__all__ = ["Recipe", "check", "evaluate", "inspect", "predict", "prepare", "show", "tokenizer", "train"]


def __getattr__(name: str) -> object:
    """Import a verb when it is first used, so that `import groundup` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'groundup' has no attribute {name!r}")
    return getattr(importlib.import_module(f"groundup.{_HOMES[name]}"), name)
