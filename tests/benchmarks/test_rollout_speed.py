"""How fast rollouts are, as a ratio to what transformers' own generate needs for the same work."""

import time
from collections.abc import Callable

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from workbench.engine.rollout import sample_batch

ROWS, NEW = 64, 64


def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=2048,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=6,
        num_key_value_heads=6,
        max_position_embeddings=256,
    )
    return LlamaForCausalLM(config).eval()


def seconds(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


@pytest.mark.bench
def test_that_rollouts_are_faster_than_generate() -> None:
    policy = model()
    prompts = [list(range(3, 3 + 8 + row % 24)) for row in range(ROWS)]
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])

    def theirs() -> object:
        return policy.generate(
            ids,
            attention_mask=mask,
            do_sample=True,
            top_k=0,
            max_new_tokens=NEW,
            min_new_tokens=NEW,
            pad_token_id=0,
            output_logits=True,
            return_dict_in_generate=True,
        )

    ratio = seconds(theirs) / seconds(lambda: sample_batch(policy, prompts, max_new_tokens=NEW, eos=[]))
    print(f"\nrollout of {ROWS} rows, {NEW} tokens: {ratio:.2f} times as fast as generate")
    assert ratio > 1.0
