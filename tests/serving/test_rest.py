"""The remaining addresses, the log and the record; speech and bytes of tokens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.serving.conftest import Running
from tests.serving.test_errors import CHAT, TEXT, get, post, refused
from workbench.engine.decoding.pieces import Pieces
from workbench.engine.decoding.voice import Voice
from workbench.engine.text import encode_text
from workbench.serving.door import Keys, Rate
from workbench.serving.order import Said
from workbench.serving.speech import Speech
from workbench.serving.token_bytes import TokenBytes, letters


def test_that_models_are_listed_and_found_by_name(server_here: Running) -> None:
    async def ask() -> Any:
        client = server_here.client()
        return [model async for model in client.models.list()], await client.models.retrieve("stories")

    listed, found = asyncio.run(ask())
    assert listed == [found]
    assert (found.id, found.object, found.owned_by, found.max_model_len) == ("stories", "model", "workbench", 512)


def test_that_texts_are_cut_into_tokens_and_joined_again(server_here: Running, voice: Voice) -> None:
    told = post(server_here, "/tokenize", {"model": "stories", "prompt": "The dog ran."}).json()
    assert told["tokens"] == encode_text(voice.tokenizer, "The dog ran.")
    assert told["count"] == len(told["tokens"]) == len(told["token_strs"])
    assert told["max_model_len"] == 512
    plain = {"model": "stories", "prompt": "The dog ran.", "add_special_tokens": False}
    assert post(server_here, "/tokenize", plain).json()["tokens"] == told["tokens"][1:]
    back = post(server_here, "/detokenize", {"model": "stories", "tokens": told["tokens"]}).json()
    assert back == {"prompt": "The dog ran."}
    asked = {"model": "stories", "messages": CHAT["messages"]}
    reply = post(server_here, "/v1/chat/completions", CHAT).json()
    assert post(server_here, "/tokenize", asked).json()["count"] == reply["usage"]["prompt_tokens"]
    refused(post(server_here, "/tokenize", asked | {"prompt": "x"}), 400)
    refused(post(server_here, "/detokenize", {"model": "stories", "tokens": [10**6]}), 400)


def test_that_health_and_metrics_tell_what_was_done(server_here: Running) -> None:
    assert get(server_here, "/health").json() == {"status": "ok", "rows": 0, "waiting": 0, "tokens_per_second": 0.0}
    post(server_here, "/v1/completions", TEXT)
    get(server_here, "/v1/secret-name")
    page = get(server_here, "/metrics").text
    assert 'workbench_requests_total{path="/v1/completions",status="200"} 1.0' in page
    assert 'workbench_requests_total{path="other",status="404"} 1.0' in page
    assert 'workbench_completion_tokens_total{model="stories"} 2.0' in page
    assert "workbench_first_token_seconds_bucket" in page
    assert "workbench_rows 0.0" in page
    assert "secret-name" not in page


def test_that_the_log_has_a_line_for_each_request_without_texts(server_here: Running) -> None:
    post(server_here, "/v1/chat/completions", CHAT | {"user": "anna", "temperature": 0})
    post(server_here, "/v1/chat/completions", CHAT | {"top_p": 7})
    first, second = server_here.log()
    assert (first["status"], first["model"], first["user"], first["finish"]) == (200, "stories", "anna", "length")
    assert first["completion_tokens"] == 2 and first["prompt_tokens"] > 2
    assert 0 < first["first_token_seconds"] <= first["seconds"] + 0.001
    assert (second["status"], second["path"]) == (400, "/v1/chat/completions")
    assert not {"prompts", "answers"} & first.keys()


def test_that_texts_are_logged_when_asked_for(serve: Callable[..., Running]) -> None:
    server = serve(log_texts=True)
    text = post(server, "/v1/completions", TEXT).json()["choices"][0]["text"]
    [line] = server.log()
    assert (line["prompts"], line["answers"]) == (["Hi"], [text])


def test_that_prompts_are_recorded_only_with_a_file(serve: Callable[..., Running], tmp_path: Path) -> None:
    server = serve(record=tmp_path / "asked.jsonl")
    post(server, "/v1/chat/completions", CHAT)
    post(server, "/v1/completions", TEXT | {"prompt": ["Zoë", "two"]})
    post(server, "/v1/completions", TEXT | {"top_p": 7})
    lines = [json.loads(line) for line in (tmp_path / "asked.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["prompt"]["turns"][0]["content"] for line in lines] == ["Hi", "Zoë", "two"]
    assert [line["prompt"]["raw"] for line in lines] == [False, True, True]
    assert {line["model"] for line in lines} == {"stories"}


def test_that_a_request_has_an_id_that_the_log_knows(server_here: Running) -> None:
    reply = post(server_here, "/v1/completions", TEXT)
    assert server_here.log()[-1]["request"] == reply.headers["x-request-id"]


def test_that_keys_are_compared_whole_and_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    keys = Keys(["first-key", "second-key", "third-key"])
    monkeypatch.setattr(
        "workbench.serving.door.hmac.compare_digest", lambda a, b: compared.append((len(a), len(b))) or a == b
    )
    assert keys.which(b"Bearer second-key") == 1
    assert keys.which(b"bearer  first-key ") == 0
    assert keys.which(b"Bearer first") is None
    assert keys.which(b"") is None
    assert compared == [(32, 32)] * 12  # digests of one length, every one of them, also after a hit


def test_that_a_rate_fills_up_again_for_each_key_apart() -> None:
    now = [0.0]
    rate = Rate(60, lambda: now[0])
    assert [rate.wait(0) for _ in range(10)] == [0.0] * 10
    assert rate.wait(0) == pytest.approx(1.0)
    assert rate.wait(1) == 0.0
    now[0] = 2.0
    assert [rate.wait(0), rate.wait(0)] == [0.0, 0.0]
    assert rate.wait(0) > 0
    assert all(Rate(0).wait(0) == 0.0 for _ in range(100))


@settings(max_examples=60, deadline=None)
@given(some.text("abc ", min_size=1, max_size=40), some.lists(some.text("abc ", min_size=1, max_size=4), max_size=3))
def test_that_speech_says_the_text_up_to_the_first_stop_text_and_never_takes_back(
    voice: Voice, text: str, stops: list[str]
) -> None:
    ids = voice.tokenizer(text, add_special_tokens=False)["input_ids"]
    plain, speech = Speech(voice.tokenizer, [1], ()), Speech(voice.tokenizer, [1], tuple(stops))
    whole = ""
    for token in ids:  # the text ends with the token that completes a stop text
        whole += "".join(said.text for said in plain.push(Said(token)))
        if any(stop in whole for stop in stops):
            break
    heard = ""
    for token in ids:
        heard += "".join(said.text for said in speech.push(Said(token)))
        if speech.stopped:
            break
    heard += "".join(said.text for said in speech.rest())
    ends = [whole.find(stop) for stop in stops if stop in whole]
    assert heard == whole[: min(ends, default=len(whole))]
    assert speech.stopped == bool(ends)


def test_that_bytes_that_are_no_text_do_not_end_a_speech(voice: Voice) -> None:
    """Single bytes after letters: the decoder takes back what it said, which used to raise."""
    speech = Speech(voice.tokenizer, [1], ())
    names = ["<0x6D>", "<0xE2>", "<0xFF>", "<0x80>", "<0xC3>", "<0xA9>"]
    ids = voice.tokenizer.convert_tokens_to_ids(names) + voice.tokenizer("a dog", add_special_tokens=False)["input_ids"]
    heard = "".join(said.text for token in ids * 3 for said in speech.push(Said(token)))
    assert "dog" in heard


def test_that_bytes_of_byte_level_tokens_are_the_texts() -> None:
    vocabulary = {letter: number for number, letter in enumerate(sorted(letters()))}
    inner = Tokenizer(models.BPE(vocabulary, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<b>")
    table = TokenBytes(tokenizer, Pieces(tokenizer))
    text = "Zoë – “日本語” 🙂\n"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert b"".join(table.raw(token) or b"" for token in ids) == text.encode()
    assert table.raw(tokenizer.bos_token_id) is None
    assert len(letters()) == 256
