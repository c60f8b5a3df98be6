"""T5 and T5 v1.1 (Raffel et al. 2020) and mT5 (Xue et al. 2021) as Hugging Face stores them: a pre-norm encoder-decoder
whose scores know distances in buckets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from groundup.errors import ConfigError
from groundup.families.encoder_decoder import (
    adapt_heads,
    read_heads,
    refuse_other_stacks,
    rename_linears,
)
from groundup.families.family import canonical
from groundup.families.keymap import Copy, KeyMap, Rename, Rule
from groundup.families.values import ACTIVATIONS, OUTPUT_INITS, Values
from groundup.model.config import (
    Dropout,
    Encoder,
    FeedForwardConfig,
    GatedFeedForward,
    Head,
    ModelConfig,
    PlainFeedForward,
    RelativeBias,
    RMSNormConfig,
)

_FEED_FORWARDS: Final[dict[str, FeedForwardConfig]] = {
    **{name: PlainFeedForward(activation=ours) for name, ours in ACTIVATIONS.items()},
    "gated-gelu": GatedFeedForward(activation="gelu_tanh"),
    **{f"gated-{name}": GatedFeedForward(activation=ours) for name, ours in ACTIVATIONS.items() if name != "gelu"},
}
"""Published names; of several for one function, the first is written."""
_DROPOUTS: Final = ("embedding", "attention", "feed_forward", "final")
_OURS: Final = (
    "n_positions",
    "initializer_range",
    "output_init",
    "padding_id",
    *(f"{key}_dropout" for key in _DROPOUTS),
)
"""What T5 has no word for and no need of, beside its own keys: what matters while training alone, and a longest text.
The first one was T5's own once; each other is written only where it is not what T5 does."""
_SETTINGS: Final = frozenset(
    {
        *_OURS,
        "architectures",
        "d_ff",
        "d_kv",
        "d_model",
        "dense_act_fn",
        "dropout_rate",
        "feed_forward_proj",
        "id2label",
        "is_decoder",
        "is_encoder_decoder",
        "is_gated_act",
        "label2id",
        "layer_norm_epsilon",
        "model_type",
        "num_decoder_layers",
        "num_heads",
        "num_labels",
        "num_layers",
        "quantization_config",
        "relative_attention_max_distance",
        "relative_attention_num_buckets",
        "scale_decoder_outputs",
        "tie_word_embeddings",
        "vocab_size",
    }
)
_HEAD: Final = "lm_head.weight"


@dataclass(frozen=True)
class T5Like:
    """The families `t5` and `mt5`: the same arithmetic, but for the scale of the head, and other defaults."""

    model_type: str
    architectures: Mapping[str, bool]
    """Those that are supported, and whether each has the head."""
    defaults: Mapping[str, Any]
    may_scale: bool
    """Whether hidden states may be divided by the root of the width before the head."""

    def to_config(
        self, config: Mapping[str, Any], names: Collection[str], heads: Sequence[Head] | None, where: str
    ) -> ModelConfig:
        """The design of a folder. Absent keys mean what they mean to Hugging Face's T5Config or MT5Config."""
        values = Values(config, where)
        values.check_spelling(_SETTINGS)
        refuse_other_stacks(values)
        feed_forward = values.choice("feed_forward_proj", self.defaults["feed_forward_proj"], _FEED_FORWARDS)
        values.require("is_gated_act", (feed_forward.kind == "gated",), "contradicts feed_forward_proj")
        depth = values.count("num_layers", self.defaults["num_layers"])
        num_layers = depth if config.get("num_decoder_layers") is None else values.count("num_decoder_layers", depth)
        dropout = values.number("dropout_rate", 0.1)
        values.flag("tie_word_embeddings", True)
        values.flag("scale_decoder_outputs", True)
        own = {"scale_hidden": self._is_scaled(config)}
        return ModelConfig(
            vocab_size=values.count("vocab_size", self.defaults["vocab_size"]),
            hidden_size=values.count("d_model", 512),
            num_layers=num_layers,
            num_heads=values.count("num_heads", self.defaults["num_heads"]),
            head_dim=values.count("d_kv", 64),
            intermediate_size=values.count("d_ff", self.defaults["d_ff"]),
            max_length=values.count("n_positions", 512),
            num_token_types=0,
            causal=True,
            encoder=Encoder(num_layers=None if depth == num_layers else depth),
            attention_scale=1.0,
            position=RelativeBias(
                num_buckets=values.count("relative_attention_num_buckets", 32, least=4),
                max_distance=values.count("relative_attention_max_distance", 128),
            ),
            norm=RMSNormConfig(eps=values.number("layer_norm_epsilon", 1e-6, above=0.0)),
            norm_places=("input", "final"),
            feed_forward=feed_forward,
            attention_bias=False,
            feed_forward_bias=False,
            dropout=Dropout(residual=dropout, **{key: values.number(f"{key}_dropout", dropout) for key in _DROPOUTS}),
            tie_embeddings=not self._has_own_head(config, names),
            initializer_range=values.number("initializer_range", 0.02, above=0.0),
            output_init=values.choice("output_init", "normal", OUTPUT_INITS),
            padding_id=None if config.get("padding_id") is None else values.count("padding_id", 0, least=0),
            heads=read_heads(values, names, self.architectures, own) if heads is None else adapt_heads(heads, own),
        )

    def from_config(self, config: ModelConfig) -> dict[str, Any] | None:
        """The config.json of a design; None unless reading it again gives the same design."""
        if config.encoder is None or config.position.kind != "relative_bias":
            return None
        dropout, is_tied = config.dropout, config.tie_embeddings
        is_scaled = self.may_scale and all(head.scale_hidden for head in config.heads)
        written = {
            "model_type": self.model_type,
            "architectures": [name for name, has_head in self.architectures.items() if has_head == bool(config.heads)],
            "vocab_size": config.vocab_size,
            "d_model": config.hidden_size,
            "d_kv": config.resolved_head_dim,
            "d_ff": config.intermediate_size,
            "num_layers": config.of_encoder.num_layers,
            "num_decoder_layers": config.num_layers,
            "num_heads": config.num_heads,
            "relative_attention_num_buckets": config.position.num_buckets,
            "relative_attention_max_distance": config.position.max_distance,
            "dropout_rate": dropout.residual,
            "layer_norm_epsilon": config.norm.eps,
            "feed_forward_proj": next(name for name, each in _FEED_FORWARDS.items() if each == config.feed_forward),
            "n_positions": config.max_length,
            "is_encoder_decoder": True,
            "tie_word_embeddings": is_tied and (is_scaled or not self.may_scale),
            "bos_token_id": None,
            "eos_token_id": None,
            "pad_token_id": config.padding_id,
        }
        if self.may_scale:
            written["scale_decoder_outputs"] = is_scaled
        ours = {f"{key}_dropout": getattr(dropout, key) for key in _DROPOUTS}
        written |= {key: value for key, value in ours.items() if value != dropout.residual}
        written |= {
            key: value
            for key, value, usual in (
                ("initializer_range", config.initializer_range, 0.02),
                ("output_init", config.output_init, "normal"),
                ("padding_id", config.padding_id, None),
            )
            if value != usual
        }
        try:
            again = self.to_config(written, () if is_tied else (_HEAD,), None, "design")
        except ConfigError:
            return None
        return written if canonical(again) == canonical(config) else None

    def read_map(self, config: Mapping[str, Any], names: Collection[str]) -> KeyMap:
        """The rules for a folder."""
        is_gated = _FEED_FORWARDS[config.get("feed_forward_proj", self.defaults["feed_forward_proj"])].kind == "gated"
        return KeyMap(_build_rules(is_gated, not self._has_own_head(config, names)))

    def write_map(self, config: ModelConfig) -> KeyMap:
        """The rules of a design."""
        return KeyMap(_build_rules(config.feed_forward.kind == "gated", config.tie_embeddings))

    def is_backbone(self, name: str) -> bool:
        """Whether a tensor belongs to the stacks themselves."""
        return name.startswith(("shared.", "encoder.", "decoder."))

    def settings(self) -> frozenset[str]:
        """The keys of config.json that decide about arithmetic or heads."""
        return _SETTINGS

    def _is_scaled(self, config: Mapping[str, Any]) -> bool:
        """Whether hidden states are divided before the head: before transformers 5, `tie_word_embeddings` said it."""
        says = config.get("scale_decoder_outputs")
        return self.may_scale and (config.get("tie_word_embeddings") is not False if says is None else bool(says))

    def _has_own_head(self, config: Mapping[str, Any], names: Collection[str]) -> bool:
        """Whether the head is trained apart from the embedding.

        transformers 5 writes that the two are tied even where they are not, and believes the tensors.
        """
        may_differ = config.get("tie_word_embeddings") is False or not self._is_scaled(config)
        return _HEAD in names and may_differ


T5: Final = T5Like(
    model_type="t5",
    architectures={"T5Model": False, "T5ForConditionalGeneration": True},
    defaults={"vocab_size": 32128, "d_ff": 2048, "num_layers": 6, "num_heads": 8, "feed_forward_proj": "relu"},
    may_scale=True,
)
MT5: Final = T5Like(
    model_type="mt5",
    architectures={"MT5Model": False, "MT5ForConditionalGeneration": True},
    defaults={"vocab_size": 250112, "d_ff": 1024, "num_layers": 8, "num_heads": 6, "feed_forward_proj": "gated-gelu"},
    may_scale=False,
)


def _build_rules(is_gated: bool, is_tied: bool) -> tuple[Rule, ...]:
    inner = (("wi_0", "gate"), ("wi_1", "up")) if is_gated else (("wi", "up"),)
    rules: list[Rule] = [Rename("shared.weight", "embedding.token.weight")]
    for side, ours in (("encoder", "encoder."), ("decoder", "")):
        block, blocks = f"{side}.block.{{i}}.layer.", f"{ours}blocks.{{i}}."
        last = 1 if side == "encoder" else 2
        rules += [
            Copy(f"{side}.embed_tokens.weight", "embedding.token.weight"),
            Rename(
                f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
                f"{ours}embedding.position.weight",
            ),
            *rename_linears(f"{block}0.SelfAttention.", f"{blocks}attention.", "qkvo"),
            Rename(f"{block}0.layer_norm.weight", f"{blocks}attention_norms.input.weight"),
            *rename_linears(f"{block}{last}.DenseReluDense.", f"{blocks}feed_forward.", (*inner, ("wo", "down"))),
            Rename(f"{block}{last}.layer_norm.weight", f"{blocks}feed_forward_norms.input.weight"),
            Rename(f"{side}.final_layer_norm.weight", f"{ours}final_norm.weight"),
        ]
    rules += [
        *rename_linears("decoder.block.{i}.layer.1.EncDecAttention.", "blocks.{i}.cross_attention.", "qkvo"),
        Rename("decoder.block.{i}.layer.1.layer_norm.weight", "blocks.{i}.cross_attention_norms.input.weight"),
        Copy(_HEAD, "embedding.token.weight") if is_tied else Rename(_HEAD, "heads.causal_lm.decoder.weight"),
        # The first T5 folders hold a table of distances for cross-attention too, which has none.
        Copy(
            "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",
            "embedding.position.weight",
            must_agree=False,
        ),
    ]
    return tuple(rules)
