"""What of a model is trained: adapters and virtual tokens of peft, bottlenecks of our own, or the biases; all else is frozen."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from workbench.domain.errors import BadInput
from workbench.domain.specs.common import TrainingSpec
from workbench.domain.specs.methods import LEARNED_PROMPT, LOW_RANK, METHOD_NAMES, Ia3Part, LoraPart, PromptPart
from workbench.engine import bottleneck


def adapt(model: Any, tokenizer: Any, spec: TrainingSpec, base: Path, *, head: bool = False) -> Any:
    """The model with what the spec's method trains, fresh; everything else is frozen. `base` is the folder an adapter names.

    With `head`, the scalar head is trained and saved too. All trainable parameters are float32, whatever the base is.
    Raises BadInput when the method doesn't fit the model.
    """
    if spec.method == "full":
        return model.requires_grad_(True)
    if spec.method == "bitfit":
        return _only_biases(model, head=head)
    if spec.method == "bottleneck":
        bottleneck.attach(model, spec.bottleneck, str(base.resolve()), head=head)
        return model
    if spec.method == "qlora":
        model = quantise(model)
    return _with_peft(model, tokenizer, spec, base, head=head)


def adapted(model: Any) -> bool:
    """Whether a loaded model still carries an adapter, because that can't be merged into weights."""
    return hasattr(model, "peft_config") or bottleneck.settings_of(model) is not None


def what_is_trained(model: nn.Module, spec: TrainingSpec) -> str:
    """What is trained, in one clause: method, how large, where, how many parameters."""
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    trained, total = sum(size for size, wanted in sizes if wanted), sum(size for size, _ in sizes)
    part = getattr(spec, "lora" if spec.method in LOW_RANK else spec.method, None)
    where = ""
    if isinstance(part, LoraPart):
        kinds = [word for word, on in (("rank-stabilised", part.rslora), ("weight-decomposed", part.dora)) if on]
        where = f" of rank {part.rank} on {part.targets}{''.join(f', {word}' for word in kinds)}"
    elif spec.method in LEARNED_PROMPT:
        where = f" with {part.tokens} virtual tokens"  # type: ignore[union-attr]
    elif spec.method == "bottleneck":
        where = f" of width {spec.bottleneck.width}"
    return f"trained: {METHOD_NAMES[spec.method]}{where}, {trained:,} of {total:,} parameters"


class Start:
    """The trainable weights as they are now, so that the model can be looked at as it was without a second one."""

    def __init__(self, model: nn.Module) -> None:
        self._weights = [(p, p.detach().clone()) for p in model.parameters() if p.requires_grad]

    @contextmanager
    def back(self) -> Iterator[None]:
        """The model is as it was, for as long as the context lasts; no gradient may be taken."""
        now = [parameter.data for parameter, _ in self._weights]
        for parameter, then in self._weights:
            parameter.data = then
        torch.clear_autocast_cache()  # it holds the weights in half precision
        try:
            yield
        finally:
            for (parameter, _), data in zip(self._weights, now, strict=True):
                parameter.data = data
            torch.clear_autocast_cache()


def quantise(model: Any, device: torch.device | str = "cuda") -> Any:
    """The model on `device` with the weights of its linear layers in 4-bit NF4, their scales quantised once more.

    The output embedding and a scalar head stay as they are (Dettmers et al. 2023, arXiv 2305.14314).
    """
    from bitsandbytes import nn as quantised

    spared = {id(model.get_output_embeddings()), id(getattr(model, "score", None))}
    for module in list(model.modules()):
        for name, layer in list(module.named_children()):
            if type(layer) is not nn.Linear or id(layer) in spared:
                continue
            made = quantised.Linear4bit(
                layer.in_features,
                layer.out_features,
                bias=layer.bias is not None,
                compute_dtype=layer.weight.dtype,
                compress_statistics=True,
                quant_type="nf4",
                device="meta",
            )
            made.weight = quantised.Params4bit(
                layer.weight.data, requires_grad=False, compress_statistics=True, quant_type="nf4", module=made
            )
            made.bias = layer.bias
            setattr(module, name, made.to(device))
    model.is_loaded_in_4bit = True
    return model.to(device)


@contextmanager
def quiet() -> Iterator[None]:
    """Progress bars and warnings of the libraries off, where nobody could do anything about them."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    with warnings.catch_warnings():
        # peft asks transformers by names that transformers has deprecated; nothing a person could do about it.
        warnings.simplefilter("ignore", FutureWarning)
        warnings.filterwarnings("ignore", "fan_in_fan_out")  # it sets it itself, as GPT-2 needs it
        warnings.filterwarnings("ignore", ".*_pattern keys did not match")  # its own patterns for experts
        yield


def _only_biases(model: Any, *, head: bool) -> Any:
    """Zaken et al. 2022, arXiv 2106.10199."""
    found = 0
    for name, parameter in model.named_parameters():
        bias = name.rpartition(".")[2] == "bias"
        parameter.requires_grad = bias or (head and name.startswith("score."))
        found += bias
    if not found:
        raise BadInput(
            f"This {model.config.model_type} model has no biases, so BitFit would train nothing.",
            "Choose the method ia3 or lora; models that have biases are GPT-2, OPT, GPT-NeoX and Phi.",
        )
    return model


def _with_peft(model: Any, tokenizer: Any, spec: TrainingSpec, base: Path, *, head: bool) -> Any:
    from peft import get_peft_model

    if spec.method in LEARNED_PROMPT:
        _check_prompt(model, spec)
    _refuse_tied(model, spec)
    try:
        with quiet():
            config = _config(model, spec, head=head)
            made = get_peft_model(model, config)
    except (ValueError, KeyError) as error:
        raise BadInput(
            f"No adapter fits the model: {error}", "Set the adapter's targets to all-linear or to modules that it has."
        ) from error
    if spec.method == "prompt":
        _begin_with(made, tokenizer, spec.prompt)
    for parameter in made.parameters():
        if (
            parameter.requires_grad
        ):  # peft leaves the head as the base is: in half precision, small updates would be lost
            parameter.data = parameter.data.float()
    for settings in made.peft_config.values():
        settings.base_model_name_or_path = str(base.resolve())
    return made


def _config(model: Any, spec: TrainingSpec, *, head: bool) -> Any:
    import peft

    kind = peft.TaskType.SEQ_CLS if head else peft.TaskType.CAUSAL_LM
    saved = ["score"] if head else None
    if spec.method in LOW_RANK:
        part = spec.lora
        return peft.LoraConfig(
            task_type=kind,
            r=part.rank,
            lora_alpha=part.alpha,
            lora_dropout=part.dropout,
            target_modules=part.targets if part.targets == "all-linear" else _names(part.targets),
            use_rslora=part.rslora,
            use_dora=part.dora,
            modules_to_save=saved,
        )
    if spec.method == "ia3":
        targets, feed_forward = _scaled(model, spec.ia3)
        return peft.IA3Config(
            task_type=kind, target_modules=targets, feedforward_modules=feed_forward, modules_to_save=saved
        )
    if spec.method == "prefix":
        width = spec.prefix.width
        return peft.PrefixTuningConfig(
            task_type=kind,
            num_virtual_tokens=spec.prefix.tokens,
            prefix_projection=width > 0,
            encoder_hidden_size=width or None,
        )
    if spec.method == "ptuning":
        return peft.PromptEncoderConfig(
            task_type=kind, num_virtual_tokens=spec.ptuning.tokens, encoder_hidden_size=spec.ptuning.width
        )
    return peft.PromptTuningConfig(task_type=kind, num_virtual_tokens=spec.prompt.tokens)


def _scaled(model: Any, part: Ia3Part) -> tuple[list[str], list[str]]:
    """Modules that IA³ scales, and which of them at their input. `auto`: keys, values and the feed-forward's last layer."""
    if part.targets != "auto":
        return _names(part.targets), _names(part.feed_forward)
    from peft.utils import constants

    kind = model.config.model_type
    targets = constants.TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING.get(kind)
    inputs = constants.TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING.get(kind)
    if targets is None or inputs is None:
        raise BadInput(
            f"Which modules IA³ scales in a {kind} model isn't known.",
            "Name the projections of keys and values, and the last layer of the feed-forward, as targets.",
        )
    return list(targets), list(inputs)


def _check_prompt(model: Any, spec: TrainingSpec) -> None:
    config = model.config.get_text_config()
    if spec.method == "prefix" and spec.gradient_checkpointing:
        raise BadInput(
            "A learned prefix can't be trained with gradient checkpointing: the layers would forget it.",
            "Turn gradient_checkpointing off, or choose the method prompt or lora.",
        )
    if model.get_input_embeddings().weight.shape[1] != config.hidden_size or config.is_encoder_decoder:
        raise BadInput(
            f"A {model.config.model_type} model like this can't be given virtual tokens.", "Choose the method lora."
        )


def _refuse_tied(model: Any, spec: TrainingSpec) -> None:
    """Raise BadInput for an adapter on one end of a matrix that is input and output embedding at once: merged, it would change both."""
    words = {**dict.fromkeys(LOW_RANK, spec.lora.targets), "ia3": spec.ia3.targets}.get(spec.method, "")
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    if None in ends or ends[0].weight is not ends[1].weight:
        return
    for name, module in model.named_modules():
        if module in ends and any(name == word or name.endswith(f".{word}") for word in _names(words)):
            raise BadInput(
                f"{name} can't have an adapter: it shares its weights with the other embedding, which would change with it.",
                "Leave it out of the adapter's targets; all-linear does.",
            )


def _begin_with(model: Any, tokenizer: Any, part: PromptPart) -> None:
    """Set the virtual tokens to the embeddings of a text, repeated as often as it takes, or of random tokens."""
    table = model.get_base_model().get_input_embeddings().weight
    if part.text:
        ids = tokenizer(part.text, add_special_tokens=False)["input_ids"]
        chosen = torch.tensor((ids * (part.tokens // max(1, len(ids)) + 1))[: part.tokens])
    else:
        chosen = torch.randint(len(table), (part.tokens,))
    with torch.no_grad():
        model.prompt_encoder["default"].embedding.weight.copy_(table[chosen.to(table.device)])


def _names(words: str) -> list[str]:
    return [word.strip() for word in words.split(",") if word.strip()]
