"""Which models are in memory how often, and that each speaks as it would alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from tests.serving.conftest import Running
from workbench.domain.decoding import Greedy
from workbench.domain.errors import BadInput
from workbench.domain.serving import Offered
from workbench.engine.adapters import quiet
from workbench.engine.decoding.decode import decode
from workbench.engine.decoding.voice import Voice
from workbench.engine.forward import core
from workbench.engine.models import eos_ids, load_policy
from workbench.engine.text import encode_text
from workbench.serving.voices import load_voices

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def adapters(stories: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two LoRA adapters on the stories model that say something else than it."""
    folders = []
    for number in range(2):
        torch.manual_seed(number)
        loaded = load_policy(stories)
        with quiet():
            model = get_peft_model(loaded.model, LoraConfig(r=4, lora_alpha=32, target_modules=["q_proj", "v_proj"]))
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.2)
        model.peft_config["default"].base_model_name_or_path = str(stories)
        folder = tmp_path_factory.mktemp("adapters") / f"tuned-{number}"
        model.save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)
        folders.append(folder)
    return folders


def offers(**folders: Path) -> list[Offered]:
    return [Offered(name=name.replace("_", "-"), path=str(folder)) for name, folder in folders.items()]


def said(voice: Voice) -> str:
    steps = decode(voice, encode_text(voice.tokenizer, "The dog"), Greedy(max_new_tokens=30))
    while True:
        try:
            next(steps)
        except StopIteration as finished:
            return str(finished.value.text)


def own(folder: Path) -> str:
    loaded = load_policy(folder)
    return said(Voice.of(loaded.model, loaded.tokenizer, eos_ids(loaded)))


def test_that_adapters_stand_on_one_base_and_each_speaks_as_it_would_alone(stories: Path, adapters: list[Path]) -> None:
    loading: list[str] = []
    voices = load_voices(
        offers(base=stories, first=adapters[0], second=adapters[1]), CPU, torch.float32, loading.append
    )
    assert loading == ["base", "first", "second"]
    embeddings = {core(voice.model).get_input_embeddings().weight.data_ptr() for voice in voices.values()}
    assert len(embeddings) == 1
    texts = {name: said(voice) for name, voice in voices.items()}
    assert texts == {"base": own(stories), "first": own(adapters[0]), "second": own(adapters[1])}
    assert len(set(texts.values())) == 3


def test_that_an_adapter_alone_is_merged(adapters: list[Path]) -> None:
    [voice] = load_voices(offers(first=adapters[0]), CPU, torch.float32).values()
    assert not hasattr(voice.model, "peft_config")
    assert said(voice) == own(adapters[0])


def test_that_wrong_folders_and_doubled_names_are_refused(stories: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        load_voices(offers(nothing=tmp_path), CPU, torch.float32)
    with pytest.raises(BadInput, match="twice"):
        load_voices([*offers(a=stories), *offers(a=stories)], CPU, torch.float32)


def test_that_amateurs_and_drafts_are_served_models(
    serve: Callable[..., Running], stories: Path, adapters: list[Path]
) -> None:
    server = serve(voices=load_voices(offers(base=stories, tuned=adapters[0]), CPU, torch.float32))
    fields: Any = {"model": "base", "prompt": "The dog", "max_tokens": 30}

    async def ask(**extra: Any) -> str:
        reply = await server.client().completions.create(**fields, extra_body=extra)
        return str(reply.choices[0].text)

    plain = own(stories)
    assert asyncio.run(ask(strategy="speculative", draft="tuned", temperature=0)) == plain
    assert asyncio.run(ask(strategy="speculative", draft="ngram", temperature=0)) == plain
    assert asyncio.run(ask(strategy="contrastive", amateur="tuned", alpha=1.0)) == plain
    assert asyncio.run(ask(strategy="contrastive", amateur="tuned")) != plain
    assert asyncio.run(ask(strategy="contrastive_search", alpha=0.0)) == plain


def test_that_adapters_are_served_as_models_of_their_own(
    serve: Callable[..., Running], stories: Path, adapters: list[Path]
) -> None:
    server = serve(voices=load_voices(offers(base=stories, tuned=adapters[0]), CPU, torch.float32))

    async def ask() -> tuple[list[str], list[Any]]:
        client = server.client()
        fields: Any = {"prompt": "The dog", "max_tokens": 30, "temperature": 0}
        replies = await asyncio.gather(
            *(client.completions.create(model=name, **fields) for name in ("base", "tuned", "base", "tuned"))
        )
        return [model.id async for model in client.models.list()], [reply.choices[0].text for reply in replies]

    names, texts = asyncio.run(ask())
    assert names == ["base", "tuned"]
    assert texts == [own(stories), own(adapters[0])] * 2
