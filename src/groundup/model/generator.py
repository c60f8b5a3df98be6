"""The design of a generator: a smaller stack on the token embedding of another (Clark et al. 2020, section 3.2)."""

from __future__ import annotations

from groundup.errors import ConfigError
from groundup.model.config import Design, GeneratorHead, MaskedLMHead, ModelConfig

PREFIX = "heads.generator."
"""What the names of its tensors begin with."""


def shrink_sizes(design: Design, fraction: float) -> dict[str, int]:
    """The sizes of the generator beside a stack, whose heads are as wide as there.

    Raises:
        ConfigError: one that is no whole number.
    """
    sizes = {
        "num_heads": design.num_heads,
        "num_kv_heads": design.resolved_num_kv_heads,
        "hidden_size": design.hidden_size,
        "intermediate_size": design.intermediate_size,
    }
    for name, size in sizes.items():
        sizes[name] = round(size * fraction)
        if abs(sizes[name] - size * fraction) > 1e-6 or sizes[name] == 0:
            cure = f"choose a fraction that divides it, or another model.{name}"
            what = f"must leave a whole number of model.{name} {size}"
            raise ConfigError("objective.generator_size", what, got=fraction, cure=cure)
    return sizes


def shrink(config: ModelConfig, head: GeneratorHead) -> ModelConfig:
    """The design of the generator beside a stack of `config` (ConfigError as `shrink_sizes`)."""
    own = {
        **shrink_sizes(config, head.fraction),
        "head_dim": config.resolved_head_dim,
        "embedding_size": config.resolved_embedding_size,
        "heads": (MaskedLMHead(),),
        "pooler": False,
        "query_stream": False,
    }
    return ModelConfig.model_validate({name: getattr(config, name) for name in ModelConfig.model_fields} | own)


def without_generator(config: ModelConfig) -> ModelConfig:
    """The design as folders keep it."""
    return config.model_copy(update={"heads": tuple(head for head in config.heads if head.kind != "generator")})
