"""Which layers of Mistral and Qwen see a window: every way to say it, and what contradicts itself."""

from __future__ import annotations

from typing import Any

import pytest

from groundup.errors import ConfigError
from groundup.families.llama_like import LlamaLike
from groundup.families.mistral import MISTRAL
from groundup.families.qwen2 import QWEN2
from groundup.families.qwen3 import QWEN3
from groundup.model.config import Window

QWEN = {"num_hidden_layers": 4, "use_sliding_window": True, "sliding_window": 5, "max_window_layers": 3}
FULL, LOCAL = "full_attention", "sliding_attention"


def read(family: LlamaLike, config: dict[str, Any]) -> Window | None:
    return family.to_config(config, (), None, "config.json").window


def test_of_mistral_all_layers_see_a_window_or_none_does() -> None:
    assert read(MISTRAL, {}) == Window(size=4095), "the token itself is one of the 4096"
    assert read(MISTRAL, {"sliding_window": None}) is None
    assert read(MISTRAL, {"sliding_window": 1}) == Window(size=0)
    kinds = {"num_hidden_layers": 2, "layer_types": [LOCAL, LOCAL]}
    assert read(MISTRAL, kinds | {"sliding_window": 7}) == Window(size=6)
    for other in ({"sliding_window": None}, {"layer_types": [LOCAL, FULL]}):
        with pytest.raises(ConfigError, match=r"config\.json: layer_types: contradicts sliding_window"):
            read(MISTRAL, kinds | other)
    for size in (0, -1, 4096.0, True, "4096"):
        with pytest.raises(ConfigError, match=r"config\.json: sliding_window: must be a whole number from 1"):
            read(MISTRAL, {"sliding_window": size})


@pytest.mark.parametrize("family", [QWEN2, QWEN3])
def test_of_qwen_the_last_layers_see_a_window_unless_it_says_which(family: LlamaLike) -> None:
    assert read(family, {}) is None
    assert read(family, QWEN) == Window(size=4, layers=(3,))
    assert read(family, QWEN | {"max_window_layers": 0}) == Window(size=4, layers=(0, 1, 2, 3))
    for none in ({"use_sliding_window": False}, {"sliding_window": None}, {"max_window_layers": 4}):
        assert read(family, QWEN | none) is None
    assert read(family, QWEN | {"layer_types": [LOCAL, FULL, LOCAL, FULL]}) == Window(size=4, layers=(0, 2))
    assert read(family, QWEN | {"layer_types": [FULL] * 4}) is None


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"use_sliding_window": False, "layer_types": [LOCAL] * 4},
            "layer_types: names windows, but no sliding_window",
        ),
        ({"layer_types": [LOCAL] * 3}, "layer_types: must have one entry for each of 4 layers"),
        ({"layer_types": ["chunked_attention"] * 4}, "layer_types: 'chunked_attention' is not supported"),
        ({"layer_types": LOCAL}, "layer_types: must be a list of names"),
        ({"max_window_layers": -1}, "max_window_layers: must be a whole number from 0"),
        ({"use_sliding_window": 1}, "use_sliding_window: must be true or false"),
        ({"sliding_window": 0}, "sliding_window: must be a whole number from 1"),
    ],
    ids=str,
)
def test_windows_that_contradict_each_other(changes: dict[str, Any], problem: str) -> None:
    for family in (QWEN2, QWEN3):
        with pytest.raises(ConfigError, match=f"config.json: {problem}"):
            read(family, QWEN | changes)


def test_absent_keys_mean_what_they_mean_to_each_family() -> None:
    mistral, qwen2, qwen3 = (family.to_config({}, (), None, "config.json") for family in (MISTRAL, QWEN2, QWEN3))
    assert (mistral.vocab_size, mistral.intermediate_size, mistral.num_kv_heads) == (32000, 14336, 8)
    assert mistral.max_length == 131072 and not mistral.attention_bias and not mistral.qk_norm
    assert (qwen2.vocab_size, qwen2.intermediate_size, qwen2.num_kv_heads) == (151936, 22016, None)
    assert qwen2.attention_bias and qwen2.attention_output_bias is False and not qwen2.feed_forward_bias
    assert qwen3.qk_norm and not qwen3.attention_bias and qwen3.resolved_head_dim == 128
    wide = QWEN3.to_config({"hidden_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1}, (), None, "x")
    assert wide.head_dim == 128, "not hidden_size / num_attention_heads"


def test_a_width_that_heads_do_not_divide_needs_a_head_of_its_own() -> None:
    odd = {"hidden_size": 66, "num_attention_heads": 5, "num_key_value_heads": 5}
    with pytest.raises(ConfigError, match="num_attention_heads: must divide hidden_size 66"):
        MISTRAL.to_config(odd, (), None, "x")
    assert MISTRAL.to_config(odd | {"head_dim": 12}, (), None, "x").head_dim == 12
