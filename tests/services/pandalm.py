"""PandaLM's test set in the workbench's own format: 999 pairs by named models, each judged by three people."""

import json
from datetime import UTC, datetime
from pathlib import Path

TIERS = {0: [[0, 1]], 1: [[0], [1]], 2: [[1], [0]]}
PEOPLE = ("annotator1", "annotator2", "annotator3")


def write_pandalm(shared: Path, out: Path) -> Path:
    rows = json.loads((shared / "data/pandalm/testset-v1.json").read_text(encoding="utf-8"))
    with out.open("w", encoding="utf-8") as file:
        for row in rows:
            name = f"pandalm-{row['idx']}"
            models = row["cmp_key"].split("_")
            sides = [{"text": str(row[f"response{i + 1}"]), "model": models[i]} for i in range(2)]
            turn = {"role": "user", "content": f"{row['instruction']}\n\n{row['input']}".strip()}
            said = [
                {
                    "id": f"{name}-{who}", "item": name, "annotator": who, "outcome": "ranked",
                    "ranking": {"tiers": TIERS[row[who]]}, "shown": [0, 1], "shown_seed": 0, "milliseconds": 0,
                    "created": datetime(2023, 6, 8, tzinfo=UTC).isoformat(),
                }
                for who in PEOPLE
            ]  # fmt: skip
            item = {"id": name, "prompt": {"turns": [turn]}, "candidates": sides}
            file.write(json.dumps({"workbench": 1, "item": item, "judgements": said}) + "\n")
    return out
