"""`import groundup.integrations.transformers`, and designs that no class of transformers expresses open there, too.

Folders whose config.json says `"model_type": "groundup"` then open with `AutoConfig`, `AutoModel` and
`AutoModelForCausalLM`, `...MaskedLM`, `...SequenceClassification`, `...TokenClassification` and
`...QuestionAnswering`, and so in whatever is built on these: pipelines, the Trainer, peft, lm-evaluation-harness.
Folders of published families need none of it.
"""

from __future__ import annotations

from importlib.util import find_spec

from groundup.errors import MissingExtraError


def register() -> None:
    """Make the model type known to transformers; a second time it changes nothing."""
    if find_spec("transformers") is None:
        raise MissingExtraError("groundup.integrations.transformers", "transformers", "interop")
    import transformers

    from groundup.integrations.auto_config import GroundupConfig
    from groundup.integrations.auto_models import MODELS

    transformers.AutoConfig.register(GroundupConfig.model_type, GroundupConfig, exist_ok=True)
    for name, model in MODELS.items():
        getattr(transformers, name).register(GroundupConfig, model, exist_ok=True)


register()
