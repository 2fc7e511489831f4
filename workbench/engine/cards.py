"""The README that lies beside every result: what it is, what it was made from, how to load it."""

from __future__ import annotations

from pathlib import Path

from workbench.domain.specs.kinds import TrainSpec
from workbench.domain.specs.methods import LEARNED_PROMPT, METHOD_NAMES, WHOLE_RESULT
from workbench.domain.specs.online import OnlineSpec
from workbench.domain.specs.reward import RewardSpec

_CLASS = {"reward": "AutoModelForSequenceClassification"}
_SPREAD = " `config.json` holds `reward_mean` and `reward_std` of its scores: (score − mean) / std has mean 0 and deviation 1."


def card(spec: TrainSpec, rows: int, steps: int, values: dict[str, float]) -> str:
    """Markdown of a model card."""
    auto = _CLASS.get(spec.kind, "AutoModelForCausalLM")
    load = f"model = {auto}.from_pretrained(FOLDER)"
    if spec.method == "bottleneck":
        load = "# Bottleneck adapters are not part of peft: RLHF Workbench loads this folder, plain peft can't."
    elif spec.method not in WHOLE_RESULT:
        labels = ", num_labels=1" if spec.kind == "reward" else ""
        load = f"base = {auto}.from_pretrained(BASE{labels})\nmodel = PeftModel.from_pretrained(base, FOLDER)"
    measured = "\n".join(f"| {name} | {value:.6g} |" for name, value in sorted(values.items()))
    return f"""# {spec.name or spec.kind}

Made by RLHF Workbench with the recipe `{spec.kind}` ({METHOD_NAMES[spec.method]}).

| | |
|---|---|
| base | {Path(spec.base).name} |
| data | {spec.data or "data.parquet"} |
| rows trained on | {rows} |
| optimizer steps | {steps} |
{measured}

## Loading

```python
{load}
```
{_scoring(spec) if isinstance(spec, RewardSpec) else ""}
## Spec

```json
{_portable(spec).model_dump_json(indent=2)}
```
"""


def _scoring(spec: RewardSpec) -> str:
    """How to score a completion in plain transformers."""
    if spec.pooling == "mean":
        where = "The score is the mean over the completion's tokens, which the classifier's own logits don't give."
        merged = "model = model.merge_and_unload()\n" if spec.method not in WHOLE_RESULT else ""
        code = (
            f"{merged}hidden = model.base_model(input_ids=ids).last_hidden_state\n"
            "score = model.score(hidden)[0, len(prompt_ids) :].mean()"
        )
        if spec.method in {*LEARNED_PROMPT, "bottleneck"}:
            code = "# RLHF Workbench gives this score; plain libraries give only that of the last token."
    else:
        where = "The score is read at the last token, which is the tokenizer's end token."
        code = "score = model(input_ids=ids).logits[0, 0]"
    spread = "" if spec.normalize == "none" else _SPREAD
    return f"""
## Scoring

{where} A completion ends with `tokenizer.eos_token_id`.{spread}

```python
ids = torch.tensor([[*prompt_ids, *completion_ids]])
{code}
```
"""


def _portable(spec: TrainSpec) -> TrainSpec:
    """The spec without this machine's folders: a card travels with its model."""
    folders = ("base", "reward_model")
    changed: dict[str, object] = {name: Path(getattr(spec, name)).name for name in folders if hasattr(spec, name)}
    if isinstance(spec, OnlineSpec):
        function = spec.rewards.function.replace("\\", "/").rpartition("/")[2]
        changed["rewards"] = spec.rewards.model_copy(update={"function": function})
    return spec.model_copy(update=changed)
