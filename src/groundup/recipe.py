"""One recipe: the union types of all rooms put together. It is stored with every checkpoint and every model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from groundup.config import Config, apply_overrides, expand_path, load_yaml, parse, to_json
from groundup.errors import ConfigError
from groundup.model.config import Design, Dropout, Head, ModelConfig
from groundup.model.generator import shrink_sizes
from groundup.model.head_config import of_decoder
from groundup.objectives.causal import Causal
from groundup.objectives.contrastive import Contrastive
from groundup.objectives.denoising import Denoising
from groundup.objectives.hybrid import Hybrid
from groundup.objectives.masked import Masked
from groundup.objectives.mix import Mix
from groundup.objectives.permuted import Permuted
from groundup.objectives.replaced import Replaced
from groundup.objectives.sentence import Sentence
from groundup.objectives.seq2seq import Seq2Seq
from groundup.objectives.span import SpanCorruption
from groundup.optim.config import OptimizerConfig
from groundup.optim.schedule import Linear, ScheduleConfig
from groundup.readers.choice_files import ChoicesConfig
from groundup.readers.question_files import QuestionsConfig
from groundup.readers.set_config import SetConfig
from groundup.readers.source import ExampleSource
from groundup.readers.table import TableConfig
from groundup.readers.tagged_files import TaggedConfig
from groundup.tasks.classification import Classification
from groundup.tasks.multi_label import MultiLabel
from groundup.tasks.multiple_choice import MultipleChoice
from groundup.tasks.question_answering import QuestionAnswering
from groundup.tasks.regression import Regression
from groundup.tasks.span_classification import SpanClassification
from groundup.tasks.tagging import Tagging
from groundup.text.corpus import CorpusConfig
from groundup.text.tokenizer import TokenizerConfig
from groundup.training.config import TrainConfig


class FreshModel(Design):
    """A model of your own design, trained from fresh weights."""

    kind: Literal["transformer"] = "transformer"
    vocab_size: PositiveInt | None = None
    """Rows of the token embedding; null takes the tokenizer's."""

    def resolve(self, vocab_size: int, padding_id: int | None, *heads: Head) -> ModelConfig:
        """The design with the tokenizer's vocabulary and padding, and the heads that the objective needs."""
        if self.vocab_size is not None and self.vocab_size < vocab_size:
            raise ConfigError(
                "model.vocab_size",
                f"is smaller than the tokenizer's vocabulary of {vocab_size}",
                got=self.vocab_size,
                cure="leave it out, and the tokenizer decides",
            )
        values = {name: getattr(self, name) for name in Design.model_fields}
        values |= {"vocab_size": self.vocab_size or vocab_size, "padding_id": padding_id}
        return ModelConfig.model_validate(values | {"heads": of_decoder(heads) if self.causal else heads})

    @model_validator(mode="after")
    def _check_choices(self) -> Self:
        if self.heads:
            kinds = ", ".join(head.kind for head in self.heads)
            raise ValueError(f"heads: the objective brings the one that is trained, got {kinds}; leave it out")
        if self.padding_id != Design.model_fields["padding_id"].default:
            raise ValueError(f"padding_id: is the tokenizer's, got {self.padding_id}; leave it out")
        return self


class PretrainedModel(Config):
    """Weights from a model folder: ours, or one in Hugging Face layout."""

    kind: Literal["pretrained"] = "pretrained"
    path: str
    """A folder (`${NAME}` is taken from the environment), or a name on the hub."""
    dropout: Dropout | None = None
    """Dropout while training; null keeps what the folder's config says."""


ModelChoice = Annotated[FreshModel | PretrainedModel, Field(discriminator="kind")]
DataChoice = Annotated[
    CorpusConfig | TableConfig | TaggedConfig | QuestionsConfig | ChoicesConfig | SetConfig, Field(discriminator="kind")
]
AnyTaskConfig = (
    Classification | MultiLabel | Regression | MultipleChoice | Tagging | SpanClassification | QuestionAnswering
)
"""Objectives whose number of labels the data may decide."""
AnyObjectiveConfig = (
    Masked
    | Causal
    | Permuted
    | Seq2Seq
    | SpanCorruption
    | Denoising
    | Sentence
    | Mix
    | Hybrid
    | Replaced
    | Contrastive
    | AnyTaskConfig
)
ObjectiveChoice = Annotated[AnyObjectiveConfig, Field(discriminator="kind")]


SOURCES: Final = {
    "corpus": "corpus",
    "text": "table",
    "tags": "tagged",
    "spans": "tagged",
    "questions": "questions",
    "choice": "choices",
}
"""Which data.kind holds one's own examples of each kind."""


def check_stream(objective: AnyObjectiveConfig, has_query_stream: bool) -> None:
    """ConfigError where tokens are to be predicted from a stream that the design does not have."""
    if objective.kind == "permuted" and not has_query_stream:
        cure = "set it to true, with model.position.kind=relative, or take an XLNet folder"
        raise ConfigError("model.query_stream", "the objective 'permuted' predicts from it", got=False, cure=cure)


def check_prefix(objective: AnyObjectiveConfig, position: str) -> None:
    """ConfigError where tokens of a prefix, which sees what comes after, could not tell how far off that stands."""
    if isinstance(objective, Causal) and objective.prefix and position in ("relative_bias", "none"):
        what = "tells the tokens of a prefix nothing of the order of those behind them, which they see"
        raise ConfigError("model.position", what, got=position, cure="choose rotary, or set objective.prefix to false")


def check_direction(objective: AnyObjectiveConfig, is_causal: bool, has_encoder: bool) -> None:
    """ConfigError where the stack does not see what the objective needs, or sees what it must not."""
    reads_source = objective.kind in ("seq2seq", "span", "denoising")
    if reads_source and not has_encoder:
        cure, what = "set it to {}, and model.causal to true", f"the objective {objective.kind!r} needs one"
        raise ConfigError("model.encoder", f"{what} that reads the source", cure=cure)
    if not reads_source and has_encoder:
        what = f"the objective {objective.kind!r} gives it nothing to read"
        raise ConfigError("model.encoder", what, cure="leave it out, or take the objective 'seq2seq'")
    if (objective.kind == "causal" or reads_source) and not is_causal:
        raise ConfigError(
            "model.causal", f"a {objective.kind} objective needs a decoder stack", got=False, cure="set it to true"
        )
    reads_forward = objective.kind in ("causal", "classification", "multi_label") or reads_source
    if not reads_forward and is_causal:
        raise ConfigError(
            "model.causal", f"the objective {objective.kind!r} needs an encoder stack", got=True, cure="set it to false"
        )


def check_length(objective: AnyObjectiveConfig, max_length: int) -> None:
    """ConfigError where a sequence may be longer than the model reads."""
    lengths = {"max_length": objective.max_length}
    if isinstance(objective, Seq2Seq):
        lengths["max_target_length"] = objective.resolved_max_target_length
    for name, length in lengths.items():
        if length > max_length:
            raise ConfigError(
                f"objective.{name}",
                f"is more than the model's {max_length} positions",
                got=length,
                cure=f"lower it to {max_length}, or raise model.max_length",
            )


def needs_sentences(objective: AnyObjectiveConfig) -> bool:
    """Whether an objective reads runs of whole sentences of a corpus."""
    return isinstance(objective, Sentence | Mix | SpanCorruption | Denoising) and objective.needs_sentences


def check_pairs(objective: AnyObjectiveConfig, num_token_types: int) -> None:
    """ConfigError where the model cannot tell the two segments of a pair apart, though it has a type for one."""
    if num_token_types == 1 and isinstance(objective, Sentence | Mix) and objective.needs_sentences:
        raise ConfigError("model.num_token_types", "tells no pair apart", got=1, cure="set it to 2, or to 0 for none")


class Recipe(Config):
    """Everything a run needs to be repeated."""

    seed: int = Field(1, ge=0)
    """Of weights, order, corruption and dropout."""
    output: str
    """The run folder: checkpoints, metrics, the trained model."""
    tokenizer: TokenizerConfig | None = None
    """How text becomes ids; null takes the tokenizer of a pretrained model."""
    data: DataChoice
    """What is learnt from: a `corpus` of text, or a `table` of labelled rows."""
    model: ModelChoice
    """A design of your own, or pretrained weights."""
    objective: ObjectiveChoice
    """What is learnt: an objective for text, a task for labelled rows."""
    optimizer: OptimizerConfig
    """How weights are updated."""
    schedule: ScheduleConfig = Linear()
    """The learning rate over time."""
    train: TrainConfig
    """How long, how much at a time, what is kept."""

    @classmethod
    def load(cls, path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
        """Read a YAML file and apply `key.path=value` overrides. Raises ConfigError with every problem found."""
        return cls.from_values(apply_overrides(load_yaml(Path(path)), overrides), where=str(path))

    @classmethod
    def from_values(cls, values: Mapping[str, object], *, where: str = "recipe") -> Recipe:
        """Check plain values, such as those stored with a model."""
        return parse(cls, values, where=where)

    def to_json(self) -> dict[str, object]:
        """Plain JSON data, defaults included."""
        return to_json(self)

    @property
    def folder(self) -> Path:
        """The run folder."""
        return expand_path(self.output, "output")

    @model_validator(mode="after")
    def _check_fit(self) -> Self:
        kind = self.data.example_kind if isinstance(self.data, ExampleSource) else "corpus"
        if kind not in self.objective.data_kinds:
            sources = list(dict.fromkeys(SOURCES[each] for each in self.objective.data_kinds))
            named = " or ".join(f"a {each}" if each in ("table", "corpus") else each for each in sources)
            raise ValueError(
                f"objective: {self.objective.kind!r} learns from {named}, got data of kind "
                f"{self.data.kind!r}; choose data.kind={sources[0]} or another objective"
            )
        takes_label = self.objective.needs_label or isinstance(self.objective, Contrastive)
        if self.data.kind == "table" and self.data.label is not None and not takes_label:
            raise ValueError(f"data.label: {self.objective.kind!r} learns from no label, got {self.data.label!r}")
        for where, source in self.data.sources.items() if needs_sentences(self.objective) else ():
            if not source.sentences:
                what = f"{self.objective.kind!r} learns from neighbouring sentences"
                raise ValueError(f"{where}.sentences: {what}, got false; set it to true")
        if self.model.kind == "transformer":
            check_direction(self.objective, self.model.causal, self.model.encoder is not None)
            check_stream(self.objective, self.model.query_stream)
            check_prefix(self.objective, self.model.position.kind)
            check_pairs(self.objective, self.model.num_token_types)
            check_length(self.objective, self.model.max_length)
            if isinstance(self.objective, Replaced):
                shrink_sizes(self.model, self.objective.generator_size)
        if isinstance(self.objective, Seq2Seq) and not (isinstance(self.data, ExampleSource) and self.data.has_pair):
            raise ValueError("data.pair: 'seq2seq' learns from pairs, got null; name the column of the target")
        if not self.data.has_validation:
            if isinstance(self.objective, MultiLabel) and isinstance(self.objective.threshold, str):
                raise ValueError(
                    f"objective.threshold: is chosen on validation data, of which there is none, got "
                    f"{self.objective.threshold!r}; name data.validation, or give a number such as 0.5"
                )
            for name in ("evaluate_every", "patience"):
                if (value := getattr(self.train, name)) is not None:
                    raise ValueError(f"train.{name}: there is no validation data, got {value}; name data.validation")
        if self.data.kind == "corpus":
            self._check_corpus(self.data)
        if isinstance(self.objective, Contrastive):
            self._check_contrastive(self.objective)
        if self.train.steps is not None:
            self.schedule.factor(0, self.train.steps)  # a schedule longer than the run is an error at every step
        if self.tokenizer is None and self.model.kind != "pretrained":
            raise ValueError("tokenizer: a model from fresh weights has none of its own; give one, kind wordpiece say")
        return self

    def _check_contrastive(self, objective: Contrastive) -> None:
        """ValueError where a step could be more than one micro-batch, or rows have no second text."""
        if objective.positives == "pair" and not (isinstance(self.data, ExampleSource) and self.data.has_pair):
            raise ValueError(
                "objective.positives: pairs are rows of a table with data.pair, got none; name that column"
            )
        most = objective.count_tokens(self.train.batch_tokens or self.train.batch_size * objective.max_length)
        if most > self.train.micro_batch_tokens:
            raise ValueError(
                f"train.micro_batch_tokens: all texts of a step are compared, so it must hold the {most} tokens that a "
                f"step may have, got {self.train.micro_batch_tokens}; raise it, or lower train.batch_size"
            )

    def _check_corpus(self, data: CorpusConfig) -> None:
        """ValueError where sources and stages do not go with the rest."""
        if data.others and self.train.batch_tokens is not None:
            raise ValueError(
                f"train.batch_tokens: sources that are mixed are dealt by sequences, got {self.train.batch_tokens}; "
                "take train.batch_size"
            )
        if data.curriculum and self.train.steps is None:
            raise ValueError("data.curriculum: stages are shares of train.steps, got train.epochs; give the steps")
        if data.curriculum and (longest := data.curriculum[-1].max_length) >= self.objective.max_length:
            raise ValueError(
                f"data.curriculum: every stage must be shorter than objective.max_length {self.objective.max_length}, "
                f"got {longest}"
            )
