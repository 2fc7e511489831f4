"""The README that lies beside every result: what it is, what it was made from, how to load it."""

from __future__ import annotations

from pathlib import Path

from workbench.domain.specs.kinds import Spec

_CLASS = {"reward": "AutoModelForSequenceClassification"}


def card(spec: Spec, rows: int, steps: int, values: dict[str, float]) -> str:
    """Markdown of a model card."""
    auto = _CLASS.get(spec.kind, "AutoModelForCausalLM")
    load = f"model = {auto}.from_pretrained(FOLDER)"
    if spec.method == "lora":
        labels = ", num_labels=1" if spec.kind == "reward" else ""
        load = f"base = {auto}.from_pretrained(BASE{labels})\nmodel = PeftModel.from_pretrained(base, FOLDER)"
    measured = "\n".join(f"| {name} | {value:.6g} |" for name, value in sorted(values.items()))
    return f"""# {spec.name or spec.kind}

Made by RLHF Workbench with the recipe `{spec.kind}` ({"low-rank adapter" if spec.method == "lora" else "all weights"}).

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

## Spec

```json
{_portable(spec).model_dump_json(indent=2)}
```
"""


def _portable(spec: Spec) -> Spec:
    """The spec without this machine's folders: a card travels with its model."""
    folders = ("base", "reward_model")
    return spec.model_copy(update={name: Path(getattr(spec, name)).name for name in folders if hasattr(spec, name)})
