"""GPT-2 folders written by transformers compute the same here, and what is trained here computes the same there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from groundup.checkpoint import pretrained
from groundup.families.gpt2 import GPT2
from groundup.model.cache import Cache
from groundup.model.config import CausalLMHead, Dropout, LayerNormConfig, ModelConfig, PlainFeedForward
from groundup.model.estimate import count_parameters
from groundup.model.initialize import initialize
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer
from groundup.text.tokenizer import Tokenizer, train_tokenizer
from groundup.text.tokenizer_config import ByteBPE

transformers = pytest.importorskip("transformers")

TOLERANCE = 1e-4
LENGTHS = (11, 11, 7, 7, 2)
SIZES = {
    "vocab_size": 60,
    "n_embd": 48,
    "n_layer": 3,
    "n_head": 6,
    "n_inner": 80,
    "n_positions": 32,
    "layer_norm_epsilon": 1e-3,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
ARCHITECTURES = ("GPT2Model", "GPT2LMHeadModel")


def build_peer(architecture: str = "GPT2LMHeadModel", **values: object) -> torch.nn.Module:
    """A tiny random model of which no parameter, bias or norm included, is left at its neutral value."""
    torch.manual_seed(0)
    peer = getattr(transformers, architecture)(transformers.GPT2Config(**{**SIZES, **values}))
    with torch.no_grad():
        for parameter in peer.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.2)
    return peer.eval()


def load_from(peer: torch.nn.Module, folder: Path) -> Transformer:
    peer.save_pretrained(folder)
    loaded = pretrained.load(folder)
    assert not loaded.fresh and not loaded.dropped
    return loaded.model.eval()


def save(folder: Path, model: Transformer, **values: object) -> Path:
    pretrained.save(folder, model, **{"tokenizer_files": {}, "manifest": {}, "card": "", **values})
    return folder


def draw_ids() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, SIZES["vocab_size"], length) for length in LENGTHS]


def run_peer(peer: torch.nn.Module, ids: list[np.ndarray]) -> Mapping[str, Tensor]:
    """Padded on the right; the state after every block, hidden states and logits come back flat, without padding."""
    padded = torch.full((len(ids), max(map(len, ids))), 3)
    mask = torch.zeros_like(padded)
    for row, of_ids in enumerate(ids):
        padded[row, : len(of_ids)], mask[row, : len(of_ids)] = torch.from_numpy(of_ids), 1
    is_token = mask.bool()
    out = peer(input_ids=padded, attention_mask=mask, output_hidden_states=True)
    answer = {f"block {number}": hidden[is_token] for number, hidden in enumerate(out.hidden_states[1:-1])}
    answer["hidden"] = out.hidden_states[-1][is_token]
    if "logits" in out:
        answer["logits"] = out.logits[is_token]
    return answer


def run_ours(model: Transformer, ids: list[np.ndarray]) -> Mapping[str, Tensor]:
    answer: dict[str, Tensor] = {}
    hooks = [
        block.register_forward_hook(lambda *arguments, name=f"block {number}": answer.update({name: arguments[-1]}))
        for number, block in enumerate(model.blocks[:-1])
    ]
    answer["hidden"] = model(Packed.from_sequences(ids))
    for hook in hooks:
        hook.remove()
    if "causal_lm" in model.heads:
        answer["logits"] = model.heads["causal_lm"](answer["hidden"])
    return answer


def difference(model: Transformer, peer: torch.nn.Module) -> float:
    """The largest absolute difference of any hidden state, between the blocks too, or logit."""
    with torch.no_grad():
        theirs, ours = run_peer(peer, draw_ids()), run_ours(model, draw_ids())
    assert theirs.keys() == ours.keys()
    return max(float((theirs[name] - ours[name]).abs().max()) for name in theirs)


def gradient_difference(model: Transformer, peer: torch.nn.Module) -> float:
    """The largest difference of a parameter's gradients, relative to the norm of the peer's."""
    for run, module in ((run_peer, peer), (run_ours, model)):
        module.zero_grad()
        answer = run(module, draw_ids())
        outcome = answer.get("logits", answer["hidden"])
        weight = torch.randn(outcome.shape, generator=torch.Generator().manual_seed(0))
        (outcome * weight).sum().backward()
    ours = {name: parameter.grad for name, parameter in model.named_parameters()}
    seen = GPT2.write_map(model.config).write(ours)
    theirs = {name: parameter.grad for name, parameter in peer.named_parameters()}
    assert seen.keys() == theirs.keys()
    return max(float((theirs[name] - seen[name]).norm() / theirs[name].norm()) for name in theirs)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("is_tied", [True, False])
def test_logits_hidden_states_and_gradients(architecture: str, is_tied: bool, tmp_path: Path) -> None:
    peer = build_peer(architecture, tie_word_embeddings=is_tied)
    model = load_from(peer, tmp_path)
    assert tuple(model.heads) == (("causal_lm",) if architecture == "GPT2LMHeadModel" else ())
    assert difference(model, peer) < TOLERANCE
    assert gradient_difference(model, peer) < TOLERANCE


@pytest.mark.parametrize(
    "values",
    [
        {"activation_function": "gelu"},
        {"activation_function": "relu"},
        {"activation_function": "silu"},
        {"activation_function": "tanh"},
        {"n_inner": None},
        {"pad_token_id": 3},
        {"pad_token_id": 2},
        {"reorder_and_upcast_attn": True},
    ],
    ids=str,
)
def test_every_supported_value(values: dict[str, object], tmp_path: Path) -> None:
    peer = build_peer(**values)
    peer.set_attn_implementation("eager")  # the one way to attend in which transformers heeds the last of them
    model = load_from(peer, tmp_path)
    assert difference(model, peer) < TOLERANCE
    if values.get("pad_token_id") != 3:
        assert gradient_difference(model, peer) < TOLERANCE


def test_only_a_padding_row_that_is_nothing_else_stands_still(tmp_path: Path) -> None:
    for padding_id, is_still in ((3, True), (2, False), (1, False)):
        model = load_from(build_peer(pad_token_id=padding_id), tmp_path / str(padding_id))
        ids = np.array([padding_id, 5])
        model(Packed.from_sequences([ids])).sum().backward()
        assert (model.embedding.token.weight.grad[padding_id] == 0).all() == is_still


def rebuild(model: Transformer, **changes: object) -> Transformer:
    """The same weights under another design: norms move with their place, and one without a place is left out."""
    other = Transformer(model.config.model_copy(update=changes)).eval()
    moved = {name.replace("norms.input", "norms.residual"): each for name, each in model.state_dict().items()}
    state = {name: moved.get(name, model.state_dict().get(name)) for name in other.state_dict()}
    other.load_state_dict(state)
    return other


def edit(model: Transformer, change: Callable[[Transformer], None]) -> Transformer:
    broken = rebuild(model)
    with torch.no_grad():
        change(broken)
    return broken


def exchange_q_and_k(model: Transformer) -> None:
    for block in model.blocks:
        block.attention.q, block.attention.k = block.attention.k, block.attention.q


def turn_a_matrix(model: Transformer) -> None:
    weight = model.blocks[1].attention.o.weight
    weight.copy_(weight.T.clone())


def shift_positions(model: Transformer) -> None:
    weight = model.embedding.position.weight
    weight.copy_(weight.roll(1, 0))


FACTS: dict[str, Callable[[Transformer], Transformer]] = {
    "the activation": lambda model: rebuild(model, feed_forward=PlainFeedForward(activation="gelu")),
    "norms before the branches": lambda model: rebuild(model, norm_places=("residual", "final")),
    "a norm at the end": lambda model: rebuild(model, norm_places=("input",)),
    "the eps of the norms": lambda model: rebuild(model, norm=LayerNormConfig(eps=1e-5)),
    "no token sees the future": lambda model: rebuild(model, causal=False),
    "the number of heads": lambda model: rebuild(model, num_heads=4),
    "the order of q and k": lambda model: edit(model, exchange_q_and_k),
    "which way round a matrix is": lambda model: edit(model, turn_a_matrix),
    "the first position": lambda model: edit(model, shift_positions),
}


@pytest.mark.parametrize("fact", FACTS)
def test_a_broken_fact_makes_the_difference_jump(fact: str, tmp_path: Path) -> None:
    peer = build_peer()
    model = load_from(peer, tmp_path)
    broken = FACTS[fact](model)
    assert difference(model, peer) < TOLERANCE
    assert difference(broken, peer) > 2 * TOLERANCE


@pytest.mark.parametrize("fact", ["the activation", "the eps of the norms", "the order of q and k"])
def test_a_broken_fact_makes_the_gradients_differ(fact: str, tmp_path: Path) -> None:
    peer = build_peer()
    assert gradient_difference(FACTS[fact](load_from(peer, tmp_path)), peer) > 2 * TOLERANCE


def cached_difference(model: Transformer, peer: torch.nn.Module, prompts: list[int], num_steps: int) -> float:
    """The largest difference of any logit, ours computed with a cache, theirs from the whole sequences."""
    random = np.random.default_rng(1)
    sequences = [torch.from_numpy(random.integers(0, SIZES["vocab_size"], length + num_steps)) for length in prompts]
    cache, head, worst = Cache(model.config, len(prompts)), model.heads["causal_lm"], 0.0
    with torch.no_grad():
        expected = [peer(input_ids=ids[None]).logits[0] for ids in sequences]
        starts, ends = [0] * len(prompts), list(prompts)
        for _ in range(num_steps + 1):
            new = [ids[start:end] for ids, start, end in zip(sequences, starts, ends, strict=True)]
            logits = head(model(cache.pack(new), cache=cache)).split([len(ids) for ids in new])
            for theirs, start, ours in zip(expected, starts, logits, strict=True):
                worst = max(worst, float((theirs[start : start + len(ours)] - ours).abs().max()))
            starts, ends = ends, [end + 1 for end in ends]
    assert starts == [len(ids) for ids in sequences]
    return worst


def test_a_token_computed_with_a_cache_is_the_one_that_transformers_computes(tmp_path: Path) -> None:
    peer = build_peer()
    model = load_from(peer, tmp_path)
    assert cached_difference(model, peer, prompts=[9, 4, 1, 4], num_steps=5) < TOLERANCE
    broken = edit(model, shift_positions)
    assert cached_difference(broken, peer, prompts=[9, 4, 1, 4], num_steps=5) > 2 * TOLERANCE


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("is_tied", [True, False])
def test_a_folder_comes_back_bit_by_bit(architecture: str, is_tied: bool, tmp_path: Path) -> None:
    peer = build_peer(architecture, tie_word_embeddings=is_tied, n_ctx=32, summary_type="mean", task_specific_params={})
    peer.save_pretrained(tmp_path / "theirs")
    loaded = pretrained.load(tmp_path / "theirs")
    save(tmp_path / "ours", loaded.model, extra_config=loaded.extra_config)
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("theirs", "ours"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert json.loads((tmp_path / "ours" / "config.json").read_text()) == loaded.extra_config
    opened, report = getattr(transformers, architecture).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report.values()), "no tensor missing, unexpected or of another shape"
    assert difference(loaded.model.eval(), opened.eval()) == difference(loaded.model.eval(), peer)


def write_as_in_2019(peer: torch.nn.Module, folder: Path) -> None:
    """As the first folders are: no prefix though there is a head, masks stored, the tied matrix twice, pickled."""
    peer.save_pretrained(folder)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    old = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    old["lm_head.weight"] = old["wte.weight"].clone()
    for number in range(SIZES["n_layer"]):
        old[f"h.{number}.attn.bias"] = torch.ones(1, 1, 32, 32, dtype=torch.uint8).tril()
        old[f"h.{number}.attn.masked_bias"] = torch.tensor(-1e4)
    torch.save(old, folder / "pytorch_model.bin")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"n_ctx": 32}))


def test_a_folder_of_the_first_kind(tmp_path: Path) -> None:
    peer = build_peer()
    write_as_in_2019(peer, tmp_path)
    loaded = pretrained.load(tmp_path)
    assert not loaded.fresh and not loaded.dropped
    assert difference(loaded.model.eval(), peer) < TOLERANCE


DESIGN = ModelConfig(
    vocab_size=300,
    hidden_size=32,
    num_layers=2,
    num_heads=4,
    intermediate_size=72,
    max_length=24,
    num_token_types=0,
    causal=True,
    norm=LayerNormConfig(eps=1e-6),
    norm_places=("input", "final"),
    feed_forward=PlainFeedForward(activation="gelu_tanh"),
    dropout=Dropout(embedding=0.0, attention=0.1, residual=0.2),
    output_init="zero",
    heads=(CausalLMHead(),),
)
TEXTS = ["A design of your own, trained here.", "写在这里的，在那里也一样。", "no"]


def train(design: ModelConfig, tokenizer: Tokenizer) -> Transformer:
    """A few steps on the next token, so that no parameter is what it was."""
    model = Transformer(design)
    initialize(model, 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    ids = [encoded.input_ids for encoded in tokenizer.encode_batch(TEXTS)]
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for _ in range(5):
        packed = Packed.from_sequences([each[:-1] for each in ids])
        logits = model.heads["causal_lm"](model(packed))
        target = torch.from_numpy(np.concatenate([each[1:] for each in ids]).astype(np.int64))
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits, target).backward()
        optimizer.step()
    # Keys' biases move all scores of a query alike, and no step reaches them but by rounding.
    assert not any(torch.equal(before[name], each) for name, each in model.named_parameters() if ".k.bias" not in name)
    return model.eval()


def test_what_is_trained_here_opens_there_with_its_tokenizer(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(ByteBPE(vocab_size=300), TEXTS * 3)
    design = DESIGN.model_copy(update={"vocab_size": tokenizer.vocab_size, "padding_id": tokenizer.pad_id})
    model = train(design, tokenizer)
    save(tmp_path / "model", model, tokenizer_files=tokenizer.files())
    again = pretrained.load(tmp_path / "model")
    assert again.config == design, "the start and the padding row included"
    opened = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    assert type(opened).__name__ == "GPT2LMHeadModel"
    encode = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    with torch.no_grad():
        for text in TEXTS:
            ids = tokenizer.encode(text).input_ids
            inputs = encode(text, return_tensors="pt")
            assert inputs["input_ids"][0].tolist() == ids.tolist()
            ours = run_ours(model, [ids])["logits"]
            assert (opened(**inputs).logits[0] - ours).abs().max() < TOLERANCE
            # The control: token types, which the tokenizer offers to encoders, would be taken for tokens.
            wrong = opened(**inputs, token_type_ids=torch.zeros_like(inputs["input_ids"])).logits[0]
            assert (wrong - ours).abs().max() > 10 * TOLERANCE


def halve(values: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """A dropout that draws nothing: it weakens every value by its own probability, so its place and p can be seen."""
    return values * (1 - p / 2) if training else values


class Halving(torch.nn.Module):
    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, values: Tensor) -> Tensor:
        return halve(values, self.p, self.training)


def replace_dropout(module: torch.nn.Module) -> None:
    for name, child in module.named_children():
        if type(child).__name__ == "Dropout":
            setattr(module, name, Halving(child.p))
        replace_dropout(child)


def test_dropout_stands_in_the_same_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Weakening attention by a factor is the same before and after the softmax's weights meet the values.
    from groundup.model import attention as module

    def attend(*arguments: object, dropout: float = 0.0, **rest: object) -> Tensor:
        return halve(module.attend_grouped(*arguments, dropout=0.0, **rest), dropout)

    monkeypatch.setitem(module.BACKENDS, "grouped", attend)
    monkeypatch.setattr(torch.nn.functional, "dropout", halve)
    peer = build_peer(embd_pdrop=0.2, attn_pdrop=0.4, resid_pdrop=0.3)
    peer.set_attn_implementation("eager")
    model = load_from(peer, tmp_path)
    for each in (peer, model):
        replace_dropout(each)
    assert difference(model, peer) < TOLERANCE
    without_any = run_ours(model, draw_ids())["hidden"]
    assert difference(model.train(), peer.train()) < TOLERANCE
    assert (run_ours(model, draw_ids())["hidden"] - without_any).abs().max() > 100 * TOLERANCE
    for place in (model.blocks[1].dropout, model.embedding.dropout):
        place.p += 0.01
        assert difference(model, peer) > TOLERANCE
        place.p -= 0.01


PUBLISHED = {
    "gpt2": ({}, 124_439_808),
    "gpt2-medium": ({"n_embd": 1024, "n_layer": 24, "n_head": 16}, 354_823_168),
    "gpt2-large": ({"n_embd": 1280, "n_layer": 36, "n_head": 20}, 774_030_080),
    "gpt2-xl": ({"n_embd": 1600, "n_layer": 48, "n_head": 25}, 1_557_611_200),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_of_the_published_sizes(name: str) -> None:
    values, expected = PUBLISHED[name]
    config = GPT2.to_config({**values, "architectures": ["GPT2LMHeadModel"]}, (), None, name)
    assert sum(count_parameters(config).values()) == expected
    with torch.device("meta"):
        model = Transformer(config)
        peer = transformers.GPT2LMHeadModel(transformers.GPT2Config(**values))
    assert sum(parameter.numel() for parameter in model.parameters()) == expected
    assert sum(parameter.numel() for parameter in peer.parameters()) == expected
    shapes = {ours: tuple(tensor.shape) for ours, tensor in GPT2.write_map(config).write(model.state_dict()).items()}
    assert shapes == {theirs: tuple(parameter.shape) for theirs, parameter in peer.named_parameters()}
