"""Values of a published config.json, read with their types checked, and the labels it names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, TypeVar

from groundup.errors import ConfigError
from groundup.model.config import Activation, CausalLMHead, Head, OutputInit

T = TypeVar("T")

ACTIVATIONS: Final[dict[str, Activation]] = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python": "gelu",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
}
"""Published names; of several for one function, the first is written."""

_LARGEST: Final = 2**31 - 1
"""Of a whole number: torch fails on a tensor whose size does not fit 64 bits, without saying which key asks for it."""

OUTPUT_INITS: Final[dict[str, OutputInit]] = {"scaled": "scaled", "normal": "normal", "zero": "zero"}
"""The values of a key of ours, beside a published family's own."""


def name_activation(activation: Activation) -> str:
    """The published name of a function."""
    return next(name for name, ours in ACTIVATIONS.items() if ours == activation)


class Values:
    """A config.json whose every read value is checked; absent keys take the default of the published format."""

    def __init__(self, config: Mapping[str, Any], where: str) -> None:
        self.config, self.where = config, where

    def error(self, key: str, what: str, cure: str = "") -> ConfigError:
        """What is wrong with the value of a key."""
        return ConfigError(f"{self.where}: {key}", what, got=self.config.get(key), cure=cure)

    def count(self, key: str, default: int, least: int = 1) -> int:
        """A whole number."""
        value = self.config.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise self.error(key, f"must be a whole number from {least} on")
        if value > _LARGEST:
            raise self.error(key, f"must be at most {_LARGEST}")
        return value

    def number(self, key: str, default: float, *, above: float | None = None) -> float:
        """A finite number, larger than `above` where given, else a probability in [0, 1)."""
        value = self.config.get(key, default)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if above is None and not (is_number and 0 <= value < 1):
            raise self.error(key, "must be a probability, at least 0 and below 1")
        if above is not None and not (is_number and above < value < float("inf")):
            raise self.error(key, f"must be a number above {above}")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.config.get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, "must be true or false")
        return value

    def choice(self, key: str, default: str, choices: Mapping[str, T]) -> T:
        """One of the published names, translated."""
        value = self.config.get(key, default)
        if not isinstance(value, str) or value not in choices:
            near = get_close_matches(str(value), choices, n=1, cutoff=0.7)
            # A name within the other, as gelu is in gelu_10, is no slip: that is another function.
            is_slip = bool(near) and near[0] not in str(value) and str(value) not in near[0]
            nearest = f"did you mean {near[0]!r}? " if is_slip else ""
            raise self.error(key, "is not supported", f"{nearest}supported are {', '.join(choices)}")
        return choices[value]

    def names(self, key: str) -> tuple[str, ...]:
        """A list of texts; none by default."""
        value = self.config.get(key)
        if value is not None and not (isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)):
            raise self.error(key, "must be a list of names")
        return tuple(value or ())

    def require(self, key: str, allowed: Collection[object], why: str) -> None:
        """Refuse a value that would mean another computation; an absent or null key is fine."""
        value = self.config.get(key)
        if value is not None and not any(value == choice and type(value) is type(choice) for choice in allowed):
            raise self.error(key, why)

    def check_spelling(self, known: Collection[str]) -> None:
        """Refuse a key that can only be a misspelt setting: one much like a known key that is absent."""
        absent = [key for key in known if key not in self.config]
        for key in self.config:
            near = [] if key in known else get_close_matches(key, absent, n=1, cutoff=0.86)
            if near:
                raise self.error(key, "is no setting of this family", f"did you mean {near[0]!r}?")


def read_causal_head(values: Values, names: Collection[str], architectures: Mapping[str, bool]) -> tuple[Head, ...]:
    """The head of a decoder's folder: by its architecture, or because it holds the head's own copy of the embedding.

    Args:
        values: its config.json.
        names: of its tensors.
        architectures: those of the family that are supported, and whether each has the head.
    """
    has_head = "lm_head.weight" in names
    for name in values.names("architectures"):
        if name not in architectures:
            known = ", ".join(architectures)
            raise values.error("architectures", f"{name!r} is not supported", f"known are {known}; or give other heads")
        has_head |= architectures[name]
    return (CausalLMHead(),) if has_head else ()


def check_problem(values: Values) -> None:
    """Refuse what nobody has names for: what the logits of a sequence are for is one of three things, or not said."""
    known = ("single_label_classification", "multi_label_classification", "regression")
    values.require("problem_type", known, f"is none of {', '.join(known)}")


def read_labels(config: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """The names of the classes in the order of their logits; without any, LABEL_0 and so on, 2 of them by default.

    Raises:
        ConfigError: `id2label` does not number them from 0 on, or `num_labels` or `label2id` contradict it.
    """
    values = Values(config, where)
    names = config.get("id2label")
    if names is None:
        return default_labels(values.count("num_labels", 2))
    if not isinstance(names, Mapping) or not all(isinstance(name, str) for name in names.values()):
        raise values.error("id2label", "must map numbers to names")
    by_number = {str(number): name for number, name in names.items()}
    if not by_number or set(by_number) != {str(number) for number in range(len(by_number))}:
        raise values.error("id2label", "must number the labels from 0 on without a gap")
    labels = tuple(by_number[str(number)] for number in range(len(by_number)))
    if config.get("num_labels", len(labels)) != len(labels):
        raise values.error("num_labels", f"contradicts id2label, which names {len(labels)}")
    numbers = config.get("label2id")
    if numbers is not None and len(set(labels)) == len(labels) and numbers != write_labels(labels)["label2id"]:
        raise values.error("label2id", "contradicts id2label")
    return labels


def write_labels(labels: Sequence[str]) -> dict[str, Any]:
    """The two keys of config.json that name the classes."""
    return {
        "id2label": {str(number): label for number, label in enumerate(labels)},
        "label2id": {label: number for number, label in enumerate(labels)},
    }


def default_labels(count: int) -> tuple[str, ...]:
    """What classes without names are called."""
    return tuple(f"LABEL_{number}" for number in range(count))
