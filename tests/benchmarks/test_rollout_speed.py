"""How fast rollouts are, as a ratio to what transformers' own generate needs for the same work.

Prompts have 8 to 31 tokens. The model is random and any of one in fifty tokens ends a row, so that rows end at different lengths, as
those of real models do; both samplers follow the same distribution, over several seeds. Ours keeps log-probabilities; generate is
measured with the logits that they would be made from, and without.
"""

import time
from collections.abc import Callable

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from workbench.engine.rollout import sample_batch

VOCABULARY, SEEDS = 2048, 2


def model(width: int) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        intermediate_size=width * 8 // 3,
        num_hidden_layers=4,
        num_attention_heads=width // 32,
        num_key_value_heads=width // 32,
        max_position_embeddings=256,
    )
    return LlamaForCausalLM(config).eval()


def seconds(works: dict[str, Callable[[int], object]]) -> dict[str, list[float]]:
    """Each work's processor and wall time in seconds, in turn, the best of two rounds over all seeds."""
    best = {name: [torch.inf, torch.inf] for name in works}
    for number in range(3):
        for name, work in works.items():
            start = time.process_time(), time.perf_counter()
            for seed in range(SEEDS):
                work(seed)
            spent = time.process_time() - start[0], time.perf_counter() - start[1]
            if number:  # the first round warms up
                best[name] = [min(pair) for pair in zip(best[name], spent, strict=True)]
    return best


@pytest.mark.bench
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("rows", "width", "new"), [(16, 192, 64), (16, 192, 128), (16, 384, 128), (64, 192, 128)])
def test_that_rollouts_are_faster_than_generate(rows: int, width: int, new: int, threads: int) -> None:
    torch.set_num_threads(threads)
    policy = model(width)
    prompts = [list(range(3, 3 + 8 + row % 24)) for row in range(rows)]
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
    ends = list(range(100, 100 + VOCABULARY // 50))

    def theirs(seed: int, logits: bool) -> object:
        torch.manual_seed(seed)
        return policy.generate(
            ids,
            attention_mask=mask,
            do_sample=True,
            top_k=0,
            max_new_tokens=new,
            eos_token_id=ends,
            pad_token_id=0,
            output_logits=logits,
            return_dict_in_generate=logits,
        )

    spent = seconds(
        {
            "ours": lambda seed: sample_batch(policy, prompts, max_new_tokens=new, eos=ends, seed=seed),
            "generate": lambda seed: theirs(seed, True),
            "without logits": lambda seed: theirs(seed, False),
        }
    )
    cpu, wall = (spent["generate"][kind] / spent["ours"][kind] for kind in range(2))
    plain = spent["without logits"][0] / spent["ours"][0]
    millions = sum(p.numel() for p in policy.parameters()) / 1e6
    print(
        f"\n{rows} rows, at most {new} new tokens, {millions:.1f}M parameters, {threads} threads: {cpu:.2f} times generate in processor time "
        f"({plain:.2f} without logits), {wall:.2f} in wall time"
    )
    assert cpu > 2  # the goal is 3; half of the cores may be busy with other things
