"""Encoder-decoder models: greedy, sampling's chain and beam equal generate()'s; other strategies refuse in a sentence."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from tests.engine.decoding.told import finish
from workbench.cli.main import main
from workbench.domain.choices import TokenChoice
from workbench.domain.decoding import STRATEGIES, Beam, Contrastive, ContrastiveSearch, Greedy, Sample, Speculative
from workbench.domain.errors import BadInput
from workbench.domain.text import Prompt
from workbench.engine import decode_jobs
from workbench.engine.decode_columns import Opening, read_again
from workbench.engine.decode_jobs import Jobs
from workbench.engine.decoding.beam import beam
from workbench.engine.decoding.chain import Context, chain_for
from workbench.engine.decoding.decode import ColumnTask, decode, decode_columns, task_for
from workbench.engine.decoding.encoding import EncoderDecoder
from workbench.engine.decoding.greedy import greedy
from workbench.engine.decoding.many import decode_many
from workbench.engine.decoding.sample import sample
from workbench.engine.decoding.stepper import stepper_for
from workbench.engine.decoding.voice import Voice
from workbench.engine.forward import hidden_states
from workbench.engine.model_shelf import Shelved
from workbench.engine.models import eos_ids, load_policy, load_speaker, save_model
from workbench.engine.text import encode_prompt
from workbench.protocol.decode_wire import ColumnAsked, ColumnFailed, Done, Generate, PlainTokens

NAMES = ["t5", "t5-gated", "bart"]
VOCABULARY, PAD, END, START = 64, 0, 1, 2
PROMPTS = [[7, 9, 33], [5, 5, 40, 41, 3, 8, 17], [12]]


def tokenizer() -> PreTrainedTokenizerFast:
    """Words w3 … w55 behind a space, four sentinels, and the end token behind every text."""
    words = {"<pad>": PAD, "</s>": END, "<s>": START, "<unk>": 3}
    words |= {f"▁w{i}": i for i in range(4, 60)} | {f"<extra_id_{i}>": 60 + i for i in range(4)}
    made = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", END)])
    gaps = [f"<extra_id_{i}>" for i in range(4)]
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", extra_special_tokens=gaps
    )


@cache
def model_of(name: str) -> Any:
    torch.manual_seed(3)
    ends = {"vocab_size": VOCABULARY, "pad_token_id": PAD, "eos_token_id": END}
    if name == "bart":
        model: Any = BartForConditionalGeneration(
            BartConfig(
                d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
                encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=24, bos_token_id=START,
                decoder_start_token_id=END, forced_eos_token_id=None, **ends,
            )
        )  # fmt: skip
    else:
        gate = "gated-gelu" if name == "t5-gated" else "relu"
        model = T5ForConditionalGeneration(
            T5Config(
                d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=PAD,
                feed_forward_proj=gate, tie_word_embeddings=name == "t5", **ends,
            )
        )  # fmt: skip
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(1.5 if name == "t5" else 8.0)
    return model.eval()


@cache
def voice_of(name: str) -> Voice:
    return Voice.of(model_of(name), tokenizer(), [END])


def oracle(model: Any, prompts: list[list[int]], **settings: Any) -> Any:
    """What generate() makes of prompts in one batch; the encoder's padding stands on the right."""
    rows = [[*prompt, END] for prompt in prompts]
    width = max(map(len, rows))
    ids = torch.tensor([row + [PAD] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    start = model.config.decoder_start_token_id
    config = GenerationConfig(
        **{"do_sample": False, "pad_token_id": PAD, "eos_token_id": END, "decoder_start_token_id": start, **settings}
    )
    old, model.generation_config = model.generation_config, config
    try:
        return model.generate(ids, attention_mask=mask)
    finally:
        model.generation_config = old


def answers(made: Any) -> list[list[int]]:
    """The tokens behind the start token up to the end."""
    rows = made[:, 1:].tolist()
    return [row[: row.index(END) + 1] if END in row else row for row in rows]


@pytest.mark.parametrize("rules", [{}, {"repetition_penalty": 1.5, "no_repeat_ngram": 2}], ids=["plain", "rules"])
@pytest.mark.parametrize("name", NAMES)
def test_that_greedy_equals_generate(name: str, rules: dict[str, Any]) -> None:
    theirs = {("no_repeat_ngram_size" if key == "no_repeat_ngram" else key): value for key, value in rules.items()}
    voice, settings = voice_of(name), Greedy(max_new_tokens=15, **rules)
    expected = answers(oracle(voice.model, PROMPTS, max_new_tokens=15, **theirs))
    for prompt, ids in zip(PROMPTS, expected, strict=True):
        assert finish(greedy(stepper_for(voice), task_for(voice, prompt, settings), settings)).ids == ids
    assert len({tuple(ids) for ids in expected}) > 1, "the prompts matter"


@pytest.mark.parametrize(("early", "penalty"), [(False, 1.0), (True, 0.0), ("never", 2.0)])
@pytest.mark.parametrize("name", NAMES)
def test_that_beam_equals_generate(name: str, early: Any, penalty: float) -> None:
    voice = voice_of(name)
    settings = Beam(max_new_tokens=10, num_beams=4, early_stopping=early, length_penalty=penalty)
    same = {"num_beams": 4, "early_stopping": early, "length_penalty": penalty, "max_new_tokens": 10}
    for prompt, ids in zip(PROMPTS, answers(oracle(voice.model, PROMPTS, **same)), strict=True):
        assert finish(beam(stepper_for(voice), task_for(voice, prompt, settings), settings)).ids == ids


@pytest.mark.parametrize("name", NAMES)
def test_that_the_chain_of_sampling_equals_the_scores_of_generate(name: str) -> None:
    model, rules = model_of(name), {"temperature": 2.0, "top_k": 30, "top_p": 0.9, "repetition_penalty": 1.3}
    torch.manual_seed(0)
    made = oracle(
        model, PROMPTS[:1], max_new_tokens=8, do_sample=True, output_scores=True, return_dict_in_generate=True, **rules
    )
    drawn = answers(made.sequences)[0]
    voice = voice_of(name)
    task, chain, stepper = (
        task_for(voice, PROMPTS[0], Sample()),
        chain_for(Sample(**rules), voice.eos),
        stepper_for(voice),
    )
    logits = stepper.prefill([task.prompt])
    for place, theirs in enumerate(made.scores[: len(drawn)]):
        ours = chain(logits, Context([task.known], [drawn[:place]])).scores
        torch.testing.assert_close(ours.softmax(-1), theirs.softmax(-1), rtol=1e-3, atol=1e-4)
        logits = stepper.step([drawn[place]])
    only = Sample(top_k=1, max_new_tokens=8)
    assert (
        finish(sample(stepper_for(voice), task_for(voice, PROMPTS[0], only), only)).ids
        == answers(oracle(model, PROMPTS[:1], max_new_tokens=8))[0]
    )


@pytest.mark.parametrize("name", NAMES)
def test_that_rows_of_a_ragged_batch_are_what_they_are_alone(name: str) -> None:
    voice = voice_of(name)
    together = decode_many(voice, PROMPTS, Sample(max_new_tokens=8, seed=3))
    assert together is not None
    for row, prompt in enumerate(PROMPTS):
        assert decode_many(voice, [prompt], Sample(max_new_tokens=8, seed=3 + row)) == [together[row]]


@pytest.mark.parametrize("name", NAMES)
def test_that_cropping_and_reordering_equal_reading_anew(name: str) -> None:
    stepper = EncoderDecoder(model_of(name))
    stepper.prefill([[*PROMPTS[0], END], [*PROMPTS[1], END]])
    both = stepper.extend([[4, 6, 7], [5, 8, 9]])
    stepper.crop(2)
    stepper.reorder([1, 0, 1])
    after = stepper.step([11, 12, 13])
    assert (stepper.rows, stepper.length) == (3, 3)
    fresh = EncoderDecoder(model_of(name))
    fresh.prefill([[*PROMPTS[1], END], [*PROMPTS[0], END], [*PROMPTS[1], END]])
    behind = fresh.extend([[5, 11], [4, 12], [5, 13]])
    torch.testing.assert_close(after, behind[:, -1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(both[[1, 0, 1], 0], behind[:, 0], atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="can't forget 3"):
        stepper.crop(3)


def test_that_a_forced_first_token_is_read_before_the_answer() -> None:
    model = model_of("bart")
    expected = answers(oracle(model, PROMPTS[:1], max_new_tokens=9, forced_bos_token_id=START))[0]
    old, model.generation_config = (
        model.generation_config,
        GenerationConfig(decoder_start_token_id=END, forced_bos_token_id=START),
    )
    try:
        voice, settings = Voice.of(model, tokenizer(), [END]), Greedy(max_new_tokens=8)
        ids = finish(greedy(stepper_for(voice), task_for(voice, PROMPTS[0], settings), settings)).ids
    finally:
        model.generation_config = old
    assert [START, *ids] == expected


def choices(voice: Voice, settings: Any, start: tuple[int, ...] = ()) -> list[TokenChoice]:
    prompt = encode_prompt(voice.tokenizer, Prompt.from_text("w7 w9 w33", raw=True))
    return [c for c in decode(voice, prompt, settings, start=start) if isinstance(c, TokenChoice)]


@pytest.mark.parametrize(
    "settings", [Greedy(max_new_tokens=9), Sample(max_new_tokens=9, seed=2)], ids=["greedy", "sample"]
)
def test_that_going_on_gives_the_unbroken_text(settings: Any) -> None:
    for name in NAMES:
        voice = voice_of(name)
        whole = choices(voice, settings)
        kept = len(whole) // 2
        rest = choices(voice, settings, tuple(c.id for c in whole[:kept]))
        assert [(c.id, c.text, c.start) for c in rest] == [(c.id, c.text, c.start) for c in whole[kept:]]
        task = ColumnTask(PROMPTS[0], settings, tuple(c.id for c in whole[:kept]))
        told, _ = decode_columns(voice, [task, ColumnTask(PROMPTS[1], settings)])
        beside = [c.id for said in told[0] if isinstance(said, list) for c in said]
        assert beside == [c.id for c in rest], "also beside another column"


def test_that_the_answer_is_a_text_of_its_own() -> None:
    """It begins without the space that a word behind the prompt would have; its tokens join to it."""
    told = choices(voice_of("bart"), Greedy(max_new_tokens=6))
    assert not told[0].text.startswith(" ") and told[1].text.startswith(" ")


def test_that_the_context_bounds_prompt_and_answer_apart() -> None:
    """BART's 24 positions are the encoder's and the decoder's: a prompt of 23 with its end leaves the whole answer."""
    voice = voice_of("bart")
    settings = Greedy(max_new_tokens=40, min_new_tokens=40)
    long = [5 + i for i in range(23)]
    expected = answers(oracle(voice.model, [long], max_new_tokens=23, min_new_tokens=23))
    assert finish(greedy(stepper_for(voice), task_for(voice, long, settings), settings)).ids == expected[0]
    with pytest.raises(BadInput, match="reads at most 24"):
        decode(voice, [*long, 40, 41], settings)


def test_that_gaps_in_a_prompt_are_sentinels() -> None:
    ids = encode_prompt(tokenizer(), Prompt.from_text("w7 <extra_id_0> w9", raw=True))
    assert ids == [7, 60, 9] or 60 in ids
    assert task_for(voice_of("t5"), ids, Greedy()).prompt[-1] == END


@pytest.mark.parametrize("settings", [ContrastiveSearch(), Contrastive(amateur="a"), Speculative()])
def test_that_other_strategies_refuse_in_a_sentence(settings: Any) -> None:
    voice = voice_of("t5")
    with pytest.raises(BadInput, match=f"can't decode by {settings.strategy}"):
        decode(voice, PROMPTS[0], settings, others={"a": voice})


def test_that_a_folder_is_loaded_to_speak_and_refused_to_learn(tmp_path: Path) -> None:
    save_model(model_of("t5"), tokenizer(), tmp_path / "t5")
    loaded = load_speaker(tmp_path / "t5")
    voice = Voice.of(loaded.model, loaded.tokenizer, eos_ids(loaded))
    again, before = choices(voice, Greedy(max_new_tokens=8)), choices(voice_of("t5"), Greedy(max_new_tokens=8))
    assert [c.id for c in again] == [c.id for c in before]
    with pytest.raises(BadInput, match="encoder-decoder"):
        load_policy(tmp_path / "t5")
    with pytest.raises(BadInput, match="can't be asked how likely"):
        hidden_states(loaded.model, torch.tensor([[5, 6]]), None, None)


@pytest.mark.usefixtures("warm")
def test_that_the_decoding_worker_and_the_command_line_use_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(model_of("t5"), tokenizer(), tmp_path / "t5")
    work = str(tmp_path / "work")
    assert main(["new", work]) == 0
    capsys.readouterr()
    ask = ["generate", work, str(tmp_path / "t5"), "--prompt", "w7 w9 w33", "--raw", "--json", "--tokens"]
    for strategy in ("greedy", "sample", "beam"):
        assert main([*ask, "--strategy", strategy, "--set", "max_new_tokens=8"]) == 0
        told = json.loads(capsys.readouterr().out)
        settings = STRATEGIES[strategy](max_new_tokens=8)
        assert [t["id"] for t in told["tokens"]] == [c.id for c in choices(voice_of("t5"), settings)]
        assert bool(told["asides"]) == (strategy == "beam")
    assert main([*ask, "--strategy", "contrastive_search"]) != 0
    assert "can't decode by contrastive_search" in "".join(capsys.readouterr())


def test_that_the_logits_of_a_column_are_read_again_behind_its_own_beginning() -> None:
    voice, settings = voice_of("t5-gated"), Greedy(max_new_tokens=6)
    task = task_for(voice, PROMPTS[0], settings)
    ids = [c.id for c in decode(voice, PROMPTS[0], settings) if isinstance(c, TokenChoice)]
    rows = read_again(voice, task.prompt, ids)
    assert [int(row.argmax()) for row in rows] == ids
    opening = Opening(task.prompt, (), "", voice.opening)
    assert (opening.behind, Opening(task.prompt).behind) == ([PAD], task.prompt)


class OneShelf:
    """Two models at hand: "t5" reads and answers apart, "llama" goes on from its prompt."""

    changed = None

    def __init__(self) -> None:
        torch.manual_seed(5)
        llama = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=4,
                pad_token_id=PAD, eos_token_id=END,
            )
        )  # fmt: skip
        self.voices = {"t5": voice_of("t5"), "llama": Voice.of(llama.eval(), tokenizer(), [END])}

    def holds(self, model: str, role: str) -> bool:
        return True

    def take(self, model: str, role: str, loading: Any) -> Any:
        return Shelved(None, self.voices[model])  # type: ignore[arg-type]

    def policy(self, model: str) -> tuple[Any, Voice]:
        return None, self.voices[model]

    def release(self) -> None:
        """Nothing is ever too much."""


def replies(prefill: str, *columns: ColumnAsked) -> list[Any]:
    """What the decoding worker says to these columns."""
    said: list[Any] = []
    jobs = Jobs(OneShelf(), said.append, lambda job: True)  # type: ignore[arg-type]
    prompt = Prompt.from_text("w7 w9 w33", raw=True)
    jobs.do(Generate(job=1, prompt=prompt, columns=columns, prefill=prefill))
    assert said[-1] == Done(job=1)
    return said


def ids_of(said: list[Any], column: int) -> list[int]:
    return [c["id"] for one in said if isinstance(one, PlainTokens) and one.column == column for c in one.choices]


def test_that_a_beginning_of_the_answer_is_refused_and_the_column_beside_goes_on() -> None:
    settings = Greedy(max_new_tokens=3, min_new_tokens=3)
    said = replies("w5", ColumnAsked(model="t5", settings=settings), ColumnAsked(model="llama", settings=settings))
    refused = [one for one in said if isinstance(one, ColumnFailed)]
    assert [one.column for one in refused] == [0] and refused[0].error == BadInput.kind
    assert "can't begin its answer" in refused[0].what and "empty" in refused[0].hint
    assert ids_of(said, 0) == [] and len(ids_of(said, 1)) == 3


def test_that_columns_of_an_encoder_decoder_are_never_rows_of_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    together: list[int] = []
    whole = decode_jobs.decode_columns
    monkeypatch.setattr(
        decode_jobs, "decode_columns", lambda voice, tasks, keep: together.append(len(tasks)) or whole(voice, tasks, keep)
    )  # fmt: skip
    settings = [
        Greedy(max_new_tokens=5),
        Sample(max_new_tokens=5, seed=3),
        Sample(max_new_tokens=5, temperature=0.5, seed=3),
    ]
    said = replies("", *(ColumnAsked(model="t5", settings=one) for one in settings))
    assert together == []
    alone = [[c.id for c in choices(voice_of("t5"), one)] for one in settings]
    assert [ids_of(said, n) for n in range(3)] == alone and alone[0] != alone[1]
    replies("", *(ColumnAsked(model=m, settings=one) for m in ("t5", "llama") for one in settings))
    assert together == [3], "those of the other model are"
