from workbench.domain.headlines import HEADLINES, headline, in_reading_order
from workbench.domain.metrics import METRICS, metric
from workbench.domain.specs.kinds import SPECS


def test_that_every_metric_has_a_title_a_sentence_and_a_direction() -> None:
    for name, entry in METRICS.items():
        assert entry.name == name
        assert entry.title
        assert entry.sentence.endswith(".")
        assert entry.good in {"up", "down", "none"}


def test_that_every_kind_of_run_has_headlines_that_are_in_the_table() -> None:
    assert set(HEADLINES) == set(SPECS)
    assert all(name in METRICS for names in HEADLINES.values() for name in names)


def test_that_the_names_fixed_for_all_recipes_are_in_the_table() -> None:
    fixed = "loss learning_rate grad_norm tokens_per_second memory_gib epoch kl/beta policy/approx_kl value/loss rewards/margin"
    assert set(fixed.split()) <= set(METRICS)


def test_that_an_evaluation_metric_says_that_it_is_held_out() -> None:
    entry = metric("eval/accuracy")
    assert entry.name == "eval/accuracy"
    assert entry.title == "Accuracy, held out"
    assert entry.good == "up"
    assert entry.sentence.startswith("On held-out rows: ")


def test_that_an_unknown_metric_speaks_for_itself() -> None:
    assert metric("story/happy_end").title == "story/happy end"


def test_that_headlines_come_first_and_strangers_last() -> None:
    names = ["zebra", "learning_rate", "accuracy", "loss", "aardvark"]
    assert in_reading_order("reward", names) == ["loss", "accuracy", "learning_rate", "aardvark", "zebra"]


def test_that_the_headline_of_ppo_is_its_score() -> None:
    assert headline("ppo") == "reward/score"
    assert headline("a plug-in's kind") == "loss"


def test_that_preference_runs_are_listed_by_their_accuracy_and_imitation_by_its_loss() -> None:
    assert [headline(k) for k in ("sft", "pretrain", "reward", "dpo")] == [
        "loss",
        "loss",
        "accuracy",
        "rewards/accuracy",
    ]
    assert all(headline(kind) in HEADLINES[kind] for kind in SPECS)
