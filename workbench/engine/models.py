"""Loading and saving models: full weights or adapters, safetensors only, no remote code, offline."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from workbench.domain.architecture import CANNOT_CONTINUE, Family, family_of
from workbench.domain.errors import BadInput
from workbench.domain.specs.common import TrainingSpec
from workbench.domain.specs.methods import WHOLE_RESULT
from workbench.engine import bottleneck
from workbench.engine.adapters import adapt, adapted, quiet
from workbench.engine.forward import virtual_tokens
from workbench.engine.report import Report
from workbench.engine.reward_settings import copy_settings, pooling_of
from workbench.protocol.run_folder import write_atomically

_AUTO: dict[Family, str] = {
    "causal": "AutoModelForCausalLM",
    "masked": "AutoModelForMaskedLM",
    "span": "AutoModelForSeq2SeqLM",
}
_OFFLINE = {"local_files_only": True, "trust_remote_code": False}


class Loaded(NamedTuple):
    """A model in memory. `path` is where it came from; `merged` says that an adapter was merged into its base."""

    model: Any
    tokenizer: Any
    path: Path
    merged: bool = False

    @property
    def pad(self) -> int:
        """Id to pad with: masks come from lengths, so any will do that the model knows; a tokenizer may have more tokens than it."""
        known = _vocabulary(self.model)
        for candidate in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id):
            if candidate is not None and candidate < known:
                return int(candidate)
        return 0


def is_adapter(path: Path) -> bool:
    """Whether a folder holds a peft adapter."""
    return (path / "adapter_config.json").exists()


def has_weights(path: Path) -> bool:
    """Whether a folder holds full weights in safetensors."""
    return any(path.glob("*.safetensors")) and not is_adapter(path)


def load_tokenizer(path: Path) -> Any:
    """The tokenizer of a model folder; raises BadInput with what is missing."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    # For some architectures, AutoTokenizer would take their usual tokenizer although tokenizer.json says another.
    kind: Any = PreTrainedTokenizerFast if _says_all(path) else AutoTokenizer
    try:
        return kind.from_pretrained(path, **_OFFLINE)
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(
            f"The tokenizer in {path} can't be loaded.", "A model folder needs tokenizer.json.", str(error)
        ) from error


def _says_all(path: Path) -> bool:
    """Whether tokenizer.json is all there is to the tokenizer, by what the folder's settings say."""
    try:
        settings = json.loads((path / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    plain = settings.get("tokenizer_class") in {"TokenizersBackend", "PreTrainedTokenizerFast"}
    return plain and (path / "tokenizer.json").exists()


def load_policy(path: Path | str, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Loaded:
    """A causal language model with its tokenizer; an adapter folder is loaded onto its base and merged where that can be.

    Raises BadInput when the folder is no usable model.
    """
    from transformers import AutoModelForCausalLM

    folder = Path(path)
    if is_adapter(folder):
        return _load_adapter(folder, device, dtype, "policy")
    _need_weights(folder)
    family = _family(folder)
    if family in CANNOT_CONTINUE:
        raise BadInput(f"{folder} {CANNOT_CONTINUE[family]}.", "Choose a causal language model.")
    model = _from_pretrained(AutoModelForCausalLM, folder, dtype)
    return Loaded(model.to(device).eval(), load_tokenizer(folder), folder)


def load_speaker(path: Path | str, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Loaded:
    """A model that writes: a causal language model or an adapter as `load_policy` loads it, or an encoder with a decoder."""
    folder = Path(path)
    if is_adapter(folder) or _family(folder) != "span":
        return load_policy(folder, device, dtype)
    from transformers import AutoModelForSeq2SeqLM

    _need_weights(folder)
    return Loaded(
        _from_pretrained(AutoModelForSeq2SeqLM, folder, dtype).to(device).eval(), load_tokenizer(folder), folder
    )


def load_or_initialise(
    path: Path | str, device: torch.device | str, dtype: torch.dtype, family: Family = "causal"
) -> tuple[Loaded, bool]:
    """(model, fresh): a model of a family; a folder with config.json and tokenizer alone gives random weights.

    The weights come from torch's generator as it stands: seed it first.
    """
    folder = Path(path)
    empty = (folder / "config.json").exists() and not any(folder.glob("*.safetensors")) and not _pickled(folder)
    if family == "causal" and (not empty or is_adapter(folder)):
        return load_policy(folder, device, dtype), False
    import transformers
    from transformers import AutoConfig

    auto: Any = getattr(transformers, _AUTO[family])
    if not empty:
        _need_weights(folder)
        return Loaded(_from_pretrained(auto, folder, dtype).to(device).eval(), load_tokenizer(folder), folder), False
    try:
        config = AutoConfig.from_pretrained(folder, **_OFFLINE)
        tokenizer = load_tokenizer(folder)
        model = auto.from_config(config, dtype=dtype, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(
            f"No model can be made from {folder}.", "Check config.json and the tokenizer.", str(error)
        ) from error
    if len(tokenizer) > config.vocab_size:
        raise BadInput(
            f"The tokenizer has {len(tokenizer)} tokens, the model only {config.vocab_size}.",
            "Raise vocab_size in config.json.",
        )
    return Loaded(model.to(device).eval(), tokenizer, folder), True


def family_in(path: Path | str) -> Family:
    """What a model folder is for, by its config: continuing, filling gaps, or an encoder with a decoder."""
    folder = Path(path)
    if (found := _family(folder)) is not None or is_adapter(folder):
        return found or "causal"
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    try:
        config = AutoConfig.from_pretrained(folder, **_OFFLINE)
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(
            f"{folder} is not a model folder that can be read.", "Check its config.json.", str(error)
        ) from error
    if getattr(config, "is_encoder_decoder", False):
        return "span"
    decoder = getattr(config, "is_decoder", False)
    return "masked" if config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not decoder else "causal"


def _family(folder: Path) -> Family | None:
    try:
        return family_of(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def load_reward(path: Path | str, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Loaded:
    """A reward model: a sequence classifier with one label, full or as an adapter with its head."""
    from transformers import AutoModelForSequenceClassification

    folder = Path(path)
    if is_adapter(folder):
        return _load_adapter(folder, device, dtype, "reward")
    _need_weights(folder)
    architectures = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("architectures") or [""]
    if "SequenceClassification" not in architectures[0]:
        raise BadInput(f"{folder} is not a reward model.", "Choose a model that the reward recipe made.")
    model = _from_pretrained(AutoModelForSequenceClassification, folder, dtype, num_labels=1)
    pooling_of(model.config)
    _precise_head(model)
    return Loaded(model.to(device).eval(), load_tokenizer(folder), folder)


def make_reward_head(
    path: Path | str, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32, *, zero: bool = False
) -> Loaded:
    """A sequence classifier with one label on a policy's body; the head is new.

    Its weights are normal with deviation 1/√(H+1) for a reward model, zero for a critic.
    """
    from transformers import AutoModelForSequenceClassification

    folder = Path(path)
    if is_adapter(folder):
        loaded = load_policy(folder, "cpu", dtype)
        if adapted(loaded.model):
            raise _unmerged(folder)
        config = loaded.model.config
        config.num_labels = 1
        model = AutoModelForSequenceClassification.from_config(config, dtype=dtype)
        model.base_model.load_state_dict(loaded.model.base_model.state_dict())
        tokenizer, merged = loaded.tokenizer, True
    else:
        _need_weights(folder)
        model = _from_pretrained(AutoModelForSequenceClassification, folder, dtype, num_labels=1)
        tokenizer, merged = load_tokenizer(folder), False
    head = getattr(model, "score", None)
    if head is None:
        raise BadInput(f"Reward models of type {model.config.model_type} aren't supported.", "Choose another base.")
    with torch.no_grad():
        head.weight.normal_(0.0, 0.0 if zero else (head.weight.shape[1] + 1) ** -0.5)
    _precise_head(model)
    _pad_apart_from_eos(model.config, tokenizer)
    return Loaded(model.to(device).eval(), tokenizer, folder, merged)


def _precise_head(model: Any) -> None:
    """Keep the scalar head in float32, however the body is loaded: in bfloat16, scores would fall onto a coarse grid."""
    if (head := getattr(model, "score", None)) is not None:
        head.float()


def _pad_apart_from_eos(config: Any, tokenizer: Any) -> None:
    """Give a classifier a pad id that no completion ends with.

    Plain transformers scores at the last token that isn't padding: were EOS the padding, it would score one too early.
    Without such an id it has none, and plain transformers then takes one text at a time.
    """
    eos = tokenizer.eos_token_id
    config.pad_token_id = None
    for name in ("pad_token", "unk_token", "bos_token"):
        if getattr(tokenizer, f"{name}_id") not in {None, eos}:
            tokenizer.pad_token = getattr(tokenizer, name)
            config.pad_token_id = tokenizer.pad_token_id
            return


def make_trainable(loaded: Loaded, spec: TrainingSpec, base_folder: Path, *, head: bool = False) -> Any:
    """The model as the spec's method wants it trained, with or without recomputation; `head`: its scalar head as well.

    An adapter's base that has no folder of its own, because another adapter was merged into it or because its head is new, is
    written to `base_folder`, which the adapter then names.
    """
    if adapted(loaded.model):
        raise _unmerged(loaded.path)
    _need_end(loaded)
    base = loaded.path
    if loaded.merged and spec.method not in WHOLE_RESULT:
        base = base_folder
        save_model(loaded.model, loaded.tokenizer, base_folder)
    model = adapt(loaded.model, loaded.tokenizer, spec, base, head=head)
    if spec.gradient_checkpointing:
        use_gradient_checkpointing(model)
    return model


def _need_end(loaded: Loaded) -> None:
    """Raise BadInput where the token that ends every completion is one that the model has no embedding for."""
    end, known = loaded.tokenizer.eos_token_id, _vocabulary(loaded.model)
    if end is not None and end >= known:
        raise BadInput(
            f"The tokenizer's end token has the number {end}, and the model knows {known} tokens only.",
            "Resize the model's embeddings to its tokenizer (resize_token_embeddings) and save it, or take the base's own tokenizer.",
        )


def _vocabulary(model: Any) -> int:
    """How many tokens a model has embeddings for."""
    return int(model.config.get_text_config().vocab_size)


def _unmerged(folder: Path) -> BadInput:
    return BadInput(
        f"{folder} can't be trained further: its adapter can't be merged into weights.",
        f"Start from its base, {adapter_base(folder)}, or train that with lora, ia3 or bitfit first.",
    )


def context(model: Any, wanted: int, report: Report) -> int:
    """The longest sequence: what is wanted, or less where the model has fewer positions (then reported)."""
    inner = model.get_base_model() if hasattr(model, "peft_config") else model
    most = getattr(inner.config.get_text_config(), "max_position_embeddings", None)
    if most is None:
        return wanted
    for name, module in inner.named_modules():  # RoBERTa and its kin count positions from behind the padding's
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            most -= module.padding_idx + 1
    learned = virtual_tokens(model)
    if wanted + learned <= most:
        return wanted
    beside = f" beside {learned} virtual tokens" if learned else ""
    if most - learned < 1:
        raise BadInput(f"The model's {most} positions leave no room{beside}.", "Choose fewer virtual tokens.")
    report.notice(f"max_length {wanted} is more than the model's {most} positions{beside}; {most - learned} is used.")
    return int(most) - learned


def eos_ids(loaded: Loaded) -> list[int]:
    """All ids that end a completion, from tokenizer, config and generation config; the tokenizer's first."""
    inner = loaded.model.get_base_model() if hasattr(loaded.model, "peft_config") else loaded.model
    found: list[int] = []
    generation = getattr(inner, "generation_config", None)
    for source in (
        loaded.tokenizer.eos_token_id,
        getattr(generation, "eos_token_id", None),
        getattr(inner.config, "eos_token_id", None),
    ):
        for value in source if isinstance(source, list) else [source]:
            if value is not None and value not in found:
                found.append(int(value))
    return found


def without_dropout(model: nn.Module) -> None:
    """Set every dropout (and the noise of a router) to zero, for recipes that take ratios of log-probabilities."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name, value in vars(module).items():  # some architectures keep the rate as a plain number
            if _is_noise(name) and isinstance(value, float):
                setattr(module, name, 0.0)
        config = getattr(module, "config", None)
        if config is not None and not hasattr(module, "save_pretrained"):  # and some read it from the configuration
            rates = [name for name, value in vars(config).items() if _is_noise(name) and isinstance(value, float)]
            if any(getattr(config, name) for name in rates):
                module.config = copy.copy(config)
                vars(module.config).update(dict.fromkeys(rates, 0.0))


def _is_noise(name: str) -> bool:
    return "dropout" in name or name in {"layerdrop", "jitter_noise"}


def use_gradient_checkpointing(model: Any) -> None:
    """Recompute activations in the backward pass."""
    with quiet():
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})


def count_parameters(model: nn.Module) -> tuple[int, int]:
    """(all, trainable) numbers of parameters."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    return sum(size for size, _ in sizes), sum(size for size, wanted in sizes if wanted)


def save_model(model: Any, tokenizer: Any, folder: Path, card: str = "") -> None:
    """Write weights (or adapter) in safetensors, tokenizer, generation config and a README; complete or absent."""
    beside = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        if bottleneck.settings_of(model) is not None:
            bottleneck.save(model, beside)
            model.config.save_pretrained(beside)
        else:
            model.save_pretrained(beside)
        tokenizer.save_pretrained(beside)
        if hasattr(model, "peft_config"):
            model.get_base_model().config.save_pretrained(beside)
        if card:
            write_atomically(beside / "README.md", card)
        shutil.rmtree(folder, ignore_errors=True)
        beside.replace(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def adapter_base(path: Path) -> Path:
    """Folder of the model that an adapter belongs to, also after the folder that holds both was moved."""
    config = json.loads((path / "adapter_config.json").read_text(encoding="utf-8"))
    base = Path(config.get("base_model_name_or_path") or "")
    for candidate in (base, path / base, path.parent / base.name):
        if base.name and candidate.is_dir() and candidate.resolve() != path.resolve():
            return candidate
    raise BadInput(f"The adapter's base model is missing: {base}.", "Put it back, or merge the adapter where both are.")


def _load_adapter(folder: Path, device: torch.device | str, dtype: torch.dtype, kind: str) -> Loaded:
    from peft import PeftModel

    base = adapter_base(folder)
    if kind == "reward":
        inner = load_reward(base, "cpu", dtype) if is_reward(base) else make_reward_head(base, "cpu", dtype)
    else:
        inner = load_policy(base, "cpu", dtype)
    if bottleneck.is_bottleneck(folder):
        bottleneck.load(inner.model, folder)
        if kind == "reward":
            copy_settings(folder, inner.model.config)
        return Loaded(inner.model.to(device, dtype).eval(), load_tokenizer(folder), folder)
    if adapted(inner.model):
        raise _unmerged(base)
    try:
        with quiet():
            model = PeftModel.from_pretrained(inner.model, folder, is_trainable=False)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise BadInput(f"The adapter in {folder} can't be loaded.", "It may not fit its base.", str(error)) from error
    merged = not virtual_tokens(model)
    model = model.merge_and_unload() if merged else model
    if kind == "reward":
        copy_settings(folder, model.config)
    return Loaded(model.to(device).eval(), load_tokenizer(folder), folder, merged)


def is_reward(folder: Path) -> bool:
    """Whether a folder's config is that of a reward model."""
    if not (folder / "config.json").exists():
        return False
    found = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("architectures") or [""]
    return "SequenceClassification" in found[0]


def _pickled(folder: Path) -> bool:
    return any(folder.glob("*.bin")) or any(folder.glob("*.pt")) or any(folder.glob("*.pth"))


def _need_weights(folder: Path) -> None:
    if not folder.is_dir():
        raise BadInput(f"There is no model folder {folder}.", "Choose a model of this workspace, or a folder.")
    if not (folder / "config.json").exists():
        raise BadInput(f"{folder} is not a model folder: it has no config.json.", "Choose a transformers model folder.")
    if has_weights(folder):
        return
    if _pickled(folder):
        raise BadInput(
            f"The weights in {folder} are pickled, which can run code when loaded.", "Convert them to safetensors."
        )
    raise BadInput(
        f"{folder} has no weights (model.safetensors).", "Choose a folder with weights, or pretrain it first."
    )


def _from_pretrained(kind: Any, folder: Path, dtype: torch.dtype, **more: Any) -> Any:
    with quiet():
        try:
            return kind.from_pretrained(folder, dtype=dtype, use_safetensors=True, **_OFFLINE, **more)
        except MemoryError:
            raise
        except Exception as error:  # damaged files raise errors of many libraries
            if "allocate memory" in str(error):
                raise
            raise BadInput(
                f"The model in {folder} can't be loaded: {str(error).splitlines()[0] if str(error) else error!r}",
                "The folder may be damaged or of an unsupported kind.",
                str(error),
            ) from error
