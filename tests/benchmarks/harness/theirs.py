"""lm-evaluation-harness' side: scores small tasks on a model, through the server or directly; run in the harness' own environment.

`python theirs.py server ADDRESS FOLDER` or `python theirs.py direct FOLDER`; with a server the key is in OPENAI_API_KEY. Standard
library and lm_eval only.
"""

import json
import sys
import tempfile
from pathlib import Path

HEROES = ["Lily", "Tom", "Ben", "Mia", "Sue", "Tim", "Anna", "Max"]
ENDS = [" ran to the park to play.", " saw a big red ball.", " was very happy.", " purple the of seven."]
CHOICES = [
    {"text": f"Once upon a time, there was a child named {hero}. One day, {hero}", "choices": ENDS, "label": number % 4}
    for number, hero in enumerate(HEROES * 2)
]
STORIES = [
    {"page": f"Once upon a time, there was a little dog named {hero}. {hero} loved to play with a ball in the park. "
             f"One day, {hero} saw a bird. “Hello, bird!” said {hero}."}
    for hero in HEROES
]  # fmt: skip
OPENINGS = [{"text": f"Once upon a time, {hero} went to the", "answer": "park."} for hero in HEROES]

TASKS = {
    "choice": (CHOICES, "output_type: multiple_choice\ndoc_to_text: text\ndoc_to_choice: choices\ndoc_to_target: label\n"
                        "target_delimiter: ''\nmetric_list:\n  - metric: acc\n  - metric: acc_norm\n"),
    "story": (STORIES, "output_type: loglikelihood_rolling\ndoc_to_text: ''\ndoc_to_target: page\nmetric_list:\n"
                       "  - metric: word_perplexity\n  - metric: byte_perplexity\n  - metric: bits_per_byte\n"),
    "write": (OPENINGS, "output_type: generate_until\ndoc_to_text: text\ndoc_to_target: answer\ngeneration_kwargs:\n  until: ['.']\n"
                        "  max_gen_toks: 40\n  do_sample: false\n  temperature: 0.0\nmetric_list:\n  - metric: exact_match\n"),
}  # fmt: skip


def main() -> None:
    """Print the scores and every answer as one line of JSON."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    kind, *rest = sys.argv[1:]
    if kind == "server":
        address, folder = rest
        model, arguments = "local-completions", {
            "model": "model", "base_url": f"{address}/completions", "tokenizer": folder, "tokenizer_backend": "huggingface",
            "num_concurrent": 4, "max_retries": 1, "max_length": 512, "add_bos_token": True, "batch_size": 4,
        }  # fmt: skip
    else:
        model, arguments = "hf", {
            "pretrained": rest[0], "dtype": "float32", "device": "cpu", "max_length": 512, "add_bos_token": True, "batch_size": 1,
        }  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        for name, (rows, rest_of_task) in TASKS.items():
            data = Path(place) / f"{name}.jsonl"
            data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            head = f"task: {name}\ndataset_path: json\ndataset_kwargs:\n  data_files:\n    test: {data}\ntest_split: test\nnum_fewshot: 0\n"
            (Path(place) / f"{name}.yaml").write_text(head + rest_of_task, encoding="utf-8")
        found = simple_evaluate(
            model=model, model_args=arguments, tasks=list(TASKS), log_samples=True, bootstrap_iters=0,
            task_manager=TaskManager(include_path=place, include_defaults=False),
        )  # fmt: skip
    scores = {
        f"{task} {metric.removesuffix(',none')}": value
        for task, values in found["results"].items()
        for metric, value in values.items()
        if isinstance(value, float) and "stderr" not in metric
    }
    answers = {task: [sample["resps"] for sample in samples] for task, samples in found["samples"].items()}
    print("RESULT " + json.dumps({"scores": scores, "answers": answers}, default=str))


if __name__ == "__main__":
    main()
