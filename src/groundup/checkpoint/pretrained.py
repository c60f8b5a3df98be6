"""Model folders in Hugging Face layout, in and out: weights, design, tokenizer, and how the model came to be."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import torch
from pydantic import ValidationError
from torch import Tensor

from groundup.checkpoint.fit import fit
from groundup.checkpoint.hub import find_folder
from groundup.checkpoint.manifest import decode_json, encode_json, find_damage, read_bytes
from groundup.checkpoint.tensors import write_folder, write_tensors
from groundup.checkpoint.weights import WEIGHTS, find_names, read_weights
from groundup.config_problems import list_problems
from groundup.errors import CheckpointError, ConfigError
from groundup.families.family import Family, canonical
from groundup.families.registry import FAMILIES
from groundup.families.values import read_labels, write_labels
from groundup.model.config import Dropout, Head, ModelConfig
from groundup.model.generator import PREFIX, without_generator
from groundup.model.initialize import initialize
from groundup.model.skeleton import build_skeleton
from groundup.model.transformer import Transformer

CONFIG: Final = "config.json"
GENERATION: Final = "generation_config.json"
MANIFEST: Final = "groundup.json"
CARD: Final = "README.md"
TOKENIZER_CONFIG: Final = "tokenizer_config.json"
_DTYPES: Final = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_DTYPE_KEYS: Final = ("dtype", "torch_dtype")


@dataclass(frozen=True)
class Pretrained:
    """A model folder, read."""

    model: Transformer
    """In float32, on the CPU, in training mode as any new module."""
    config: ModelConfig
    tokenizer_folder: Path
    manifest: dict[str, Any] | None
    """The content of groundup.json; None for a folder that groundup did not write."""
    fresh: tuple[str, ...]
    """Our names of the parameters that the folder does not have and that were initialised."""
    dropped: tuple[str, ...]
    """The folder's names of the tensors that were left out."""
    labels: tuple[str, ...] | None
    """The names of the classes, where a head with classes was read from the folder."""
    extra_config: dict[str, Any]
    """The folder's config.json; hand it to `save`, and no field of it is lost."""
    unused: dict[str, Tensor]
    """Tensors of the folder that the published model holds but never computes with, where they say something of their
    own; hand them to `save`, and none of them is lost."""


def load(
    folder_or_name: str | Path,
    *,
    heads: Sequence[Head] | None = None,
    dropout: Dropout | None = None,
    seed: int = 0,
) -> Pretrained:
    """Read a model folder, or a name on the hub.

    Args:
        folder_or_name: a folder in Hugging Face layout, written by groundup or not; or a name on the hub.
        heads: what should stand on top of the stack; None keeps what the folder has. Given heads take the folder's
            weights where it has them; the others start fresh, and what is not needed is dropped.
        dropout: while training from here on; None keeps what config.json says.
        seed: of fresh weights.

    Raises:
        CheckpointError: anything missing, damaged, or left over on either side.
        ConfigError: config.json describes arithmetic that is not supported.
    """
    folder = find_folder(folder_or_name)
    content = _read_config(folder)
    family = _find_family(content, folder / CONFIG)
    manifest = _read_manifest(folder)
    tensors, file = read_weights(folder)
    config = _read_design(family, content, tensors.keys(), heads, str(folder / CONFIG))
    if dropout is not None:
        config = config.model_copy(update={"dropout": dropout})
    model = build_skeleton(config)
    fitted = fit(model, tensors, family, content, str(file), has_new_heads=heads is not None)
    # Assigning needs neither a second copy of the weights nor a draw from torch's global random state.
    model.load_state_dict(fitted.state, assign=True)
    initialize(model, seed, fitted.fresh)
    return Pretrained(
        model=model,
        config=config,
        tokenizer_folder=folder,
        manifest=manifest,
        fresh=fitted.fresh,
        dropped=fitted.dropped,
        labels=_find_labels(config, content, fitted.fresh, folder),
        extra_config=content,
        unused=fitted.unused,
    )


def read_config(folder_or_name: str | Path) -> dict[str, Any]:
    """The config.json of a model folder or of a name on the hub. CheckpointError where it cannot be read."""
    return _read_config(find_folder(folder_or_name))


def read_design(folder_or_name: str | Path, *, heads: Sequence[Head] | None = None) -> ModelConfig:
    """The design of a model folder or of a name on the hub, without its weights, which need not be there.

    Args:
        folder_or_name: as for `load`.
        heads: what should stand on top of the stack; None keeps what the folder has.

    Raises:
        CheckpointError, ConfigError: as `load`, of what is read.
    """
    folder = find_folder(folder_or_name)
    content = _read_config(folder)
    family = _find_family(content, folder / CONFIG)
    return _read_design(family, content, find_names(folder), heads, str(folder / CONFIG))


def save(
    folder: str | Path,
    model: Transformer,
    *,
    tokenizer_files: Mapping[str, bytes],
    manifest: Mapping[str, Any],
    card: str,
    labels: Sequence[str] | None = None,
    problem_type: str | None = None,
    extra_config: Mapping[str, Any] | None = None,
    unused: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a model folder that Hugging Face opens, beside its place first and then renamed into it.

    Several families compute the same where they do not use what sets them apart: XLM-R and RoBERTa, ELECTRA and BERT,
    Mistral and Llama. The family of `extra_config` is written wherever it can express the design; else the first that
    can, in the order of `FAMILIES`. A design that none can express is written under our own names, with the model type
    `groundup`.

    Args:
        folder: where; a folder that groundup wrote there before is replaced.
        model: the weights, with the design in `model.config`.
        tokenizer_files: by name, as `Tokenizer.files` answers them.
        manifest: for groundup.json; the sizes and hashes of the other files are added under `files`, and its own
            under `checksum`.
        card: the text of README.md.
        labels: the names of the classes, in the order of the logits.
        problem_type: what the logits of a sequence are for, as Hugging Face calls it.
        extra_config: a config.json whose family and further fields should be kept, as `Pretrained.extra_config`.
        unused: tensors that are no part of the model and should be kept, as `Pretrained.unused`.

    Raises:
        CheckpointError: the folder cannot be written, or holds files that groundup did not write.
        ConfigError: labels that do not fit the head, or file names that do not fit the folder.
    """
    folder = Path(folder).expanduser()
    content, tensors = _express(model, labels, dict(extra_config or {}), unused)
    if problem_type is not None:
        content["problem_type"] = problem_type
    files = {CONFIG: encode_json(content), CARD: card.encode()}
    for name, data in tokenizer_files.items():
        if Path(name).name != name or name in (CONFIG, CARD, MANIFEST, WEIGHTS):
            raise ConfigError("tokenizer_files", "is no name of a tokenizer's file", got=name)
        files[name] = data
    if TOKENIZER_CONFIG in files:
        files[TOKENIZER_CONFIG] = _adapt_inputs(files[TOKENIZER_CONFIG], model.config)
    _check_replaceable(folder)

    def write(hidden: Path) -> None:
        write_tensors(hidden / WEIGHTS, tensors, {"format": "pt"})
        for name, data in files.items():
            (hidden / name).write_bytes(data)
        fingerprints = {path.name: _fingerprint(path) for path in sorted(hidden.iterdir())}
        content = {**manifest, "files": fingerprints}
        # In its own order: metrics stand there as their task tells them, and that is how they are told again.
        content["checksum"] = _checksum(content)
        (hidden / MANIFEST).write_bytes(encode_json(content, sort_keys=False))

    write_folder(folder, write)


def read_start(folder: Path) -> int | None:
    """The id of the token that every target of an encoder-decoder starts with; None where the folder says nothing.

    Releases of transformers differ in which of the two files say it, and the newer file overrules the older.
    """
    for name in (GENERATION, CONFIG):
        path = folder / name
        found = decode_json(read_bytes(path), path).get("decoder_start_token_id") if path.is_file() else None
        if found is not None:
            if isinstance(found, bool) or not isinstance(found, int) or found < 0:
                raise ConfigError(f"{path}: decoder_start_token_id", "must be a token's id", got=found)
            return found
    return None


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    if not path.is_file():
        raise CheckpointError(str(folder), f"holds no {CONFIG}", cure="is it a model folder?")
    content = decode_json(read_bytes(path), path)
    if content.get("auto_map"):
        raise CheckpointError(
            str(path),
            "names code of its own in `auto_map`, which may compute anything and is never run",
            got=content["auto_map"],
            cure="if the model is a plain one of its `model_type`, remove the key",
        )
    return content


def _find_family(content: Mapping[str, Any], path: Path) -> Family:
    known = {family.model_type: family for family in FAMILIES}
    model_type = content.get("model_type")
    if isinstance(model_type, str) and model_type in known:
        return known[model_type]
    near = get_close_matches(str(model_type), known, n=1)
    nearest = f"did you mean {near[0]!r}? " if near else ""
    what = "is missing" if model_type is None else "is not supported"
    raise CheckpointError(f"{path}: model_type", what, got=model_type, cure=f"{nearest}known are {', '.join(known)}")


def _read_design(
    family: Family, content: Mapping[str, Any], names: Collection[str], heads: Sequence[Head] | None, where: str
) -> ModelConfig:
    """What the family makes of config.json, where our own bounds hold too: of layers, of dropout."""
    try:
        return family.to_config(content, names, heads, where)
    except ValidationError as error:
        found = {str(each["loc"][0]): each["input"] for each in error.errors() if each["loc"]}
        raise ConfigError(where, list_problems(ModelConfig, found, error)[0]) from None


def _read_manifest(folder: Path) -> dict[str, Any] | None:
    """The content of groundup.json, after every file that a prediction depends on was compared with it."""
    path = folder / MANIFEST
    if not path.exists():
        return None
    manifest = decode_json(read_bytes(path), path)
    checksum = manifest.pop("checksum", None)
    if checksum is not None and checksum != _checksum(manifest):
        cure = "copy it again; if a change was meant, remove its `checksum`"
        raise CheckpointError(
            str(path), "is damaged or was changed: its checksum is not that of its content", cure=cure
        )
    files = manifest.get("files")
    if not isinstance(files, dict) or not all(isinstance(entry, dict) for entry in files.values()):
        raise CheckpointError(str(path), "does not list the files of its folder", got=files)
    for problem in find_damage(folder, {name: entry for name, entry in files.items() if name != CARD}):
        cure = f"copy it again; if a change was meant, remove its entry in `files` and the `checksum` from {MANIFEST}"
        raise CheckpointError(problem.where, problem.what, cure=cure)
    return manifest


def _find_labels(
    config: ModelConfig, content: Mapping[str, Any], fresh: Sequence[str], folder: Path
) -> tuple[str, ...] | None:
    for head in config.heads:
        if hasattr(head, "num_labels") and f"heads.{head.kind}.linear.weight" not in fresh:
            return read_labels(content, str(folder / CONFIG))
    return None


def _express(
    model: Transformer, labels: Sequence[str] | None, extra: dict[str, Any], unused: Mapping[str, Tensor] | None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The config.json and the tensors of a model in the first family that can express its design.

    What came from a family stays there: of two that can, such as Llama and a Mistral without a window, readers know
    which one they were given by its name.
    """
    config = without_generator(model.config)
    families = sorted(FAMILIES, key=lambda family: family.model_type != extra.get("model_type"))
    family, plain = next((family, found) for family in families if (found := family.from_config(config)) is not None)
    state = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(PREFIX)}
    tensors = family.write_map(config).write(state, unused)
    content = _merge(plain, extra, family, config, tensors)
    if labels is not None:
        sizes = [head.num_labels for head in config.heads if hasattr(head, "num_labels")]
        if sizes != [len(labels)] or len(set(labels)) != len(labels):
            raise ConfigError("labels", f"must be {sizes or 'no'} distinct names for the heads", got=list(labels))
        content.pop("num_labels", None)
        content |= write_labels(labels)
    return content, _narrow(tensors, content)


def _merge(
    plain: dict[str, Any], extra: dict[str, Any], family: Family, config: ModelConfig, names: Mapping[str, Tensor]
) -> dict[str, Any]:
    """Our config.json with what another one says beside it, and in that one's words where both mean the same."""
    source = next((each for each in FAMILIES if each.model_type == extra.get("model_type")), None)
    meant: dict[str, Any] = {}
    if source is family:
        with suppress(ConfigError):
            design = family.to_config(extra, names, None, CONFIG)
            if canonical(design) == canonical(config):
                return extra
            meant = family.from_config(design) or {}
    settings = family.settings() | (frozenset() if source is None else source.settings())
    kept = {
        key: value
        for key, value in extra.items()
        if key not in settings
        # What the heads are is for the model to say: a class that the folder named may be one that it has no more.
        or (key != "architectures" and key in plain and key in meant and meant[key] == plain[key])
    }
    return plain | kept


def _adapt_inputs(data: bytes, config: ModelConfig) -> bytes:
    """The tokenizer's settings with token types where the model reads them, and only there.

    transformers' GPT-2 would take them for tokens; its XLNet, whose tokenizer gives none by default, does without them,
    and then computes something else. It also takes what stands last in a row for the last token, padding or not.
    """
    settings, changes = decode_json(data, Path(TOKENIZER_CONFIG)), dict[str, Any]()
    found = settings.get("model_input_names")
    inputs = found if isinstance(found, list) else []
    if not config.reads_token_types and "token_type_ids" in inputs:
        changes["model_input_names"] = [name for name in inputs if name != "token_type_ids"]
    elif config.position.kind == "relative" and config.reads_token_types and "token_type_ids" not in inputs:
        changes["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    if config.position.kind == "relative" and config.pooled == "last" and settings.get("padding_side") != "left":
        changes["padding_side"] = "left"
    return encode_json({**settings, **changes}) if changes else data


def _narrow(tensors: dict[str, Tensor], content: dict[str, Any]) -> dict[str, Tensor]:
    """The tensors in the precision that config.json names, if not a bit is lost; else config.json names theirs."""
    keys = [key for key in _DTYPE_KEYS if content.get(key) is not None]
    dtype = next((_DTYPES[str(content[key])] for key in keys if str(content[key]) in _DTYPES), None)
    if dtype is None:
        return tensors
    narrow = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    if all(torch.equal(narrow[name].to(tensor.dtype), tensor) for name, tensor in tensors.items()):
        return narrow
    actual = str(next(iter(tensors.values())).dtype).removeprefix("torch.")
    content.update(dict.fromkeys(keys, actual))
    return tensors


def _check_replaceable(folder: Path) -> None:
    """Refuse to replace a folder unless all that is in it was written there by `save`."""
    if not folder.is_dir():
        return
    found = {path.name for path in folder.iterdir()}
    written = set[str]()
    if MANIFEST in found:
        listed = decode_json(read_bytes(folder / MANIFEST), folder / MANIFEST).get("files")
        written = {MANIFEST, *(listed if isinstance(listed, dict) else ())}
    if others := sorted(found - written):
        cure = "choose another folder, or move them away"
        raise CheckpointError(str(folder), "holds files that groundup did not write there", got=others, cure=cure)


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(encode_json(content)).hexdigest()


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"size": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
