"""Groundup's Transformer behind the interface of transformers: padded batches in, packed runs inside.

What stands at a padded place in any answer means nothing and adds nothing to a loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from os import PathLike
from typing import Any, ClassVar, Final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import (
    BaseModelOutputWithPooling,
    CausalLMOutputWithPast,
    MaskedLMOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from transformers.utils.generic import can_return_tuple

from groundup.errors import ConfigError, DataError
from groundup.integrations.auto_config import GroundupConfig
from groundup.integrations.padded import Padded
from groundup.integrations.recall import Recall
from groundup.model.config import CausalLMHead, ClassificationHead, Head, MaskedLMHead, ModelConfig, SpanHead, TokenHead
from groundup.model.initialize import initialize
from groundup.model.transformer import Transformer, check_packed

Ids = Int[Tensor, "rows columns"]
States = tuple[Float[Tensor, "rows columns hidden"], ...]


def refuse_others(inputs_embeds: Tensor | None, output_attentions: bool | None) -> None:
    """ConfigError for what tools such as peft name in every call, and a packed model has not."""
    if inputs_embeds is not None:
        raise ConfigError("inputs_embeds", "a packed model reads token ids", cure="give input_ids")
    if output_attentions:
        raise ConfigError("output_attentions", "are not kept", got=True, cure="see `groundup inspect attention`")


class GroundupPreTrainedModel(PreTrainedModel):
    """What all have in common: the stack, its weights under the names of its folder, and states of a padded batch."""

    config_class = GroundupConfig
    base_model_prefix = "model"
    _no_split_modules: ClassVar[list[str]] = ["Block"]
    default_head: ClassVar[Callable[[int], Head] | None] = None
    """The head where the folder has none of its kind, for a number of classes; None for no head at all."""

    def __init__(self, config: GroundupConfig) -> None:
        config = deepcopy(config)
        design = config.take_heads(self._choose_heads(config))
        super().__init__(config)
        self.model = Transformer(design)
        self.post_init()

    def _choose_heads(self, config: GroundupConfig) -> tuple[Head, ...]:
        """The folder's own head of the kind that is needed, or a fresh one."""
        design = config.read_design()
        if design.encoder is not None:
            cure = "use groundup itself"
            raise ConfigError("design.encoder", "an encoder-decoder has no class here", cure=cure)
        if self.default_head is None:
            return ()
        fresh = type(self).default_head(config.num_labels)
        if fresh.kind == "causal_lm" and not design.causal:
            raise ConfigError("design.causal", "only a decoder predicts what comes next", got=False)
        head = next((head for head in design.heads if head.kind == fresh.kind), fresh)
        if head.kind == "causal_lm" and head.prefix:
            what = "reads prompts in both directions, and nothing here says where a prompt ends"
            raise ConfigError("design.heads", what, got="prefix", cure="use groundup generate, or groundup.generate")
        if hasattr(head, "num_labels"):
            head = head.model_copy(update={"num_labels": config.num_labels})
        return (head,)

    @property
    def design(self) -> ModelConfig:
        """What is computed."""
        return self.model.config

    def initialize_weights(self) -> None:
        """Fresh weights for what no folder gave, drawn as groundup draws them by a seed out of torch's generator."""
        fresh = [name for name, each in self.model.named_parameters() if not getattr(each, "_is_hf_initialized", False)]
        if fresh:
            initialize(self.model, int(torch.randint(2**31, ())), fresh)

    def save_pretrained(
        self,
        save_directory: str | PathLike[str],
        *arguments: Any,
        state_dict: Mapping[str, Tensor] | None = None,
        **options: Any,  # of transformers, whose names change with its releases
    ) -> None:
        """Write a folder that groundup opens, too: every weight under its own name."""
        state = self.state_dict() if state_dict is None else state_dict
        names = {name.removeprefix(f"{self.base_model_prefix}."): each for name, each in state.items()}
        super().save_pretrained(save_directory, *arguments, state_dict=names, **options)

    def get_input_embeddings(self) -> nn.Embedding:
        """The token embedding."""
        return self.model.embedding.token

    def set_input_embeddings(self, value: nn.Module) -> None:
        """A vocabulary belongs to its design: ConfigError."""
        raise ConfigError("vocab_size", "cannot change here", cure="design a model of another vocabulary")

    def read(self, input_ids: Ids, attention_mask: Tensor | None, token_type_ids: Tensor | None) -> Padded:
        """A batch as it is computed; DataError where it does not fit the design."""
        padded = Padded.read(input_ids, attention_mask, token_type_ids)
        if not self.design.num_token_types and bool(padded.packed.token_type_ids.any()):
            raise DataError("token_type_ids", "the design has none", cure="leave them out")
        check_packed(self.design, padded.packed)
        return padded

    def is_asked(self, output_hidden_states: bool | None) -> bool:
        """Whether states are wanted, by the argument or else by the config."""
        return bool(self.config.output_hidden_states if output_hidden_states is None else output_hidden_states)

    def run(
        self, padded: Padded, output_hidden_states: bool | None, rows: Int[Tensor, " rows"] | None = None
    ) -> tuple[Float[Tensor, "tokens hidden"], States | None]:
        """Final hidden states of the run, and those before and after every block in the batch if they are asked for."""
        if not self.is_asked(output_hidden_states):
            return self.model(padded.packed, rows=rows), None
        with _watch(self.model) as states:
            hidden = self.model(padded.packed)
        return hidden if rows is None else hidden[rows], tuple(map(padded.pad, [*states[:-1], hidden]))


class GroundupModel(GroundupPreTrainedModel):
    """The stack alone; with a pooler where the design has one."""

    @can_return_tuple
    def forward(
        self,
        input_ids: Ids,
        attention_mask: Tensor | None = None,
        token_type_ids: Ids | None = None,
        output_hidden_states: bool | None = None,
        inputs_embeds: None = None,
        output_attentions: bool | None = None,
    ) -> BaseModelOutputWithPooling:
        """Hidden states of every token, and the pooled vector of every row."""
        refuse_others(inputs_embeds, output_attentions)
        padded = self.read(input_ids, attention_mask, token_type_ids)
        hidden, states = self.run(padded, output_hidden_states)
        pooled = None
        if self.design.has_pooler:
            pooled = padded.order(self.model.pool(hidden[self.model.pooled_rows(padded.packed)]))
        return BaseModelOutputWithPooling(
            last_hidden_state=padded.pad(hidden), pooler_output=pooled, hidden_states=states
        )


class GroundupForCausalLM(GroundupPreTrainedModel, GenerationMixin):
    """Logits of the next token; `generate` reads each token once, beams included."""

    default_head = staticmethod(lambda num_labels: CausalLMHead())
    _recall: Recall | None = None

    @can_return_tuple
    def forward(
        self,
        input_ids: Ids,
        attention_mask: Tensor | None = None,
        token_type_ids: Ids | None = None,
        labels: Ids | None = None,
        output_hidden_states: bool | None = None,
        inputs_embeds: None = None,
        output_attentions: bool | None = None,
        logits_to_keep: int = 0,
    ) -> CausalLMOutputWithPast:
        """Logits of every token, or of the last `logits_to_keep` columns; the loss of each label from those before."""
        refuse_others(inputs_embeds, output_attentions)
        padded = self.read(input_ids, attention_mask, token_type_ids)
        if (
            self._recall is not None
            and not padded.packed.token_type_ids.any()
            and not self.is_asked(output_hidden_states)
        ):
            return CausalLMOutputWithPast(logits=self._recall.next_logits(padded.texts())[:, None])
        columns = input_ids.shape[1]
        first = max(0, columns - logits_to_keep) if logits_to_keep and labels is None else 0
        kept = None if first == 0 else (padded.places % columns >= first).nonzero()[:, 0]
        hidden, states = self.run(padded, output_hidden_states, kept)
        logits = self.model.heads["causal_lm"](hidden)
        if kept is not None:
            flat = logits.new_zeros(len(input_ids) * columns, logits.shape[-1])
            logits = flat.index_copy(0, padded.places[kept], logits)
            logits = logits.view(*input_ids.shape, -1)[:, first:]
        else:
            logits = padded.pad(logits)
        loss = None
        if labels is not None:
            # A label has a loss where it and what stands before it are tokens.
            is_predicted = padded.is_token & padded.is_token.roll(1, dims=1)
            labels = labels.masked_fill(~is_predicted, -100)
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=logits.shape[-1])
        return CausalLMOutputWithPast(loss=loss, logits=logits, hidden_states=states)

    @torch.no_grad()
    def generate(self, *arguments: Any, **options: Any) -> Any:  # both of transformers
        """As transformers does, on a cache of our own."""
        self._recall = Recall(self.model)
        try:
            return super().generate(*arguments, **options)
        finally:
            self._recall = None

    def prepare_inputs_for_generation(
        self, input_ids: Ids, attention_mask: Tensor | None = None, token_type_ids: Ids | None = None, **_: Any
    ) -> dict[str, Tensor | None]:
        """Whole texts: what was read of them is found again by what it says."""
        return {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False


class GroundupForMaskedLM(GroundupPreTrainedModel):
    """Logits over the vocabulary for every token."""

    default_head = staticmethod(lambda num_labels: MaskedLMHead())

    @can_return_tuple
    def forward(
        self,
        input_ids: Ids,
        attention_mask: Tensor | None = None,
        token_type_ids: Ids | None = None,
        labels: Ids | None = None,
        output_hidden_states: bool | None = None,
        inputs_embeds: None = None,
        output_attentions: bool | None = None,
    ) -> MaskedLMOutput:
        """Logits of every token; the loss over labels that are not -100."""
        refuse_others(inputs_embeds, output_attentions)
        padded = self.read(input_ids, attention_mask, token_type_ids)
        hidden, states = self.run(padded, output_hidden_states)
        logits, loss = padded.pad(self.model.heads["masked_lm"](hidden)), None
        if labels is not None:
            labels = labels.masked_fill(~padded.is_token, -100)
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=logits.shape[-1])
        return MaskedLMOutput(loss=loss, logits=logits, hidden_states=states)


class GroundupForSequenceClassification(GroundupPreTrainedModel):
    """Logits over the classes for every row."""

    default_head = staticmethod(lambda num_labels: ClassificationHead(num_labels=num_labels))

    @can_return_tuple
    def forward(
        self,
        input_ids: Ids,
        attention_mask: Tensor | None = None,
        token_type_ids: Ids | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        inputs_embeds: None = None,
        output_attentions: bool | None = None,
    ) -> SequenceClassifierOutput:
        """Logits of every row; cross-entropy, squared error or binary cross-entropy, as `problem_type` says."""
        refuse_others(inputs_embeds, output_attentions)
        padded = self.read(input_ids, attention_mask, token_type_ids)
        vectors = self.model.summarize(padded.packed)
        logits, loss = padded.order(self.model.heads["classification"](vectors)), None
        if labels is not None:
            loss = self.loss_function(labels=labels, pooled_logits=logits, config=self.config)
        # The vector needs few states of the last block, so all of them cost a second pass.
        states = self.run(padded, True)[1] if self.is_asked(output_hidden_states) else None
        return SequenceClassifierOutput(loss=loss, logits=logits, hidden_states=states)


class GroundupForTokenClassification(GroundupPreTrainedModel):
    """Logits over the classes for every token."""

    default_head = staticmethod(lambda num_labels: TokenHead(num_labels=num_labels))

    @can_return_tuple
    def forward(
        self,
        input_ids: Ids,
        attention_mask: Tensor | None = None,
        token_type_ids: Ids | None = None,
        labels: Ids | None = None,
        output_hidden_states: bool | None = None,
        inputs_embeds: None = None,
        output_attentions: bool | None = None,
    ) -> TokenClassifierOutput:
        """Logits of every token; the loss over labels that are not -100."""
        refuse_others(inputs_embeds, output_attentions)
        padded = self.read(input_ids, attention_mask, token_type_ids)
        hidden, states = self.run(padded, output_hidden_states)
        logits, loss = padded.pad(self.model.heads["token"](hidden)), None
        if labels is not None:
            labels = labels.masked_fill(~padded.is_token, -100)
            loss = self.loss_function(logits=logits, labels=labels, config=self.config)
        return TokenClassifierOutput(loss=loss, logits=logits, hidden_states=states)


class GroundupForQuestionAnswering(GroundupPreTrainedModel):
    """A start and an end logit for every token."""

    default_head = staticmethod(lambda num_labels: SpanHead())

    @can_return_tuple
    def forward(
        self,
        input_ids: Ids,
        attention_mask: Tensor | None = None,
        token_type_ids: Ids | None = None,
        start_positions: Int[Tensor, " rows"] | None = None,
        end_positions: Int[Tensor, " rows"] | None = None,
        output_hidden_states: bool | None = None,
        inputs_embeds: None = None,
        output_attentions: bool | None = None,
    ) -> QuestionAnsweringModelOutput:
        """Logits of every token, the least there are at padded places; positions are columns of the batch."""
        refuse_others(inputs_embeds, output_attentions)
        padded = self.read(input_ids, attention_mask, token_type_ids)
        hidden, states = self.run(padded, output_hidden_states)
        logits = self.model.heads["span"](hidden)
        starts, ends = padded.pad(logits, torch.finfo(logits.dtype).min).unbind(dim=-1)
        loss = None
        if start_positions is not None and end_positions is not None:
            loss = self.loss_function(starts, ends, start_positions, end_positions)
        return QuestionAnsweringModelOutput(loss=loss, start_logits=starts, end_logits=ends, hidden_states=states)


MODELS: Final[dict[str, type[GroundupPreTrainedModel]]] = {
    "AutoModel": GroundupModel,
    "AutoModelForCausalLM": GroundupForCausalLM,
    "AutoModelForMaskedLM": GroundupForMaskedLM,
    "AutoModelForQuestionAnswering": GroundupForQuestionAnswering,
    "AutoModelForSequenceClassification": GroundupForSequenceClassification,
    "AutoModelForTokenClassification": GroundupForTokenClassification,
}
"""By the class of transformers that opens them."""


@contextmanager
def _watch(model: Transformer) -> Iterator[list[Tensor]]:
    """The residual stream before the first block and after each, as it goes by."""
    states: list[Tensor] = []
    modules = [model.embedding, *model.blocks]
    hooks = [module.register_forward_hook(lambda *given: states.append(given[-1])) for module in modules]
    try:
        yield states
    finally:
        for hook in hooks:
            hook.remove()
