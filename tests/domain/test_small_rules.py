"""Small rules that many rooms rely on: what a model can do, what is kept of a round, what can serve as what, what comes first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workbench.domain.architecture import CANNOT_CONTINUE, family_of
from workbench.domain.choices import BeamLevel, BeamNode, DraftedToken, DraftRound
from workbench.domain.decoding import Beam, Contrastive, Greedy, Sample, Speculative, other_model
from workbench.domain.headlines import HEADLINES, headline, in_reading_order
from workbench.domain.judgement import Judgement, Ranking, comparisons, pair_share, ranking_from_scores, settled
from workbench.domain.lengths import length_divisor
from workbench.domain.metrics import METRICS, metric
from workbench.domain.parts import group
from workbench.domain.rounds import Round, RoundColumn, bounded
from workbench.domain.rows import COLUMNS, DATASET_KINDS, SNAPSHOT_KINDS, usable_as
from workbench.domain.said import ranks_of_tiers
from workbench.domain.serving import ServeSettings
from workbench.domain.settings import LARGEST_READING, SMALLEST_READING, Settings
from workbench.domain.text import Prompt

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("config", "family"),
    [
        ({}, None),
        ({"architectures": None}, None),
        ({"architectures": []}, None),
        ({"architectures": ["LlamaForCausalLM"]}, "causal"),
        ({"architectures": ["GPT2LMHeadModel"]}, "causal"),
        ({"architectures": "LlamaForCausalLM"}, "causal"),
        ({"architectures": ("Something", "LlamaForCausalLM")}, "causal"),
        ({"architectures": ["BertForMaskedLM"]}, "masked"),
        ({"architectures": ["BertForPreTraining"]}, "masked"),
        ({"architectures": ["BertModel"]}, None),
        ({"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}, "span"),
        ({"architectures": ["LlamaForCausalLM"], "is_encoder_decoder": True}, "span"),
        ({"architectures": ["LlamaForCausalLM"], "is_encoder_decoder": False}, "causal"),
        ({"architectures": 7}, None),
    ],
)
def test_that_a_config_says_what_a_model_can_do(config: dict[str, Any], family: str | None) -> None:
    assert family_of(config) == family
    assert set(CANNOT_CONTINUE) == {"masked", "span"}


@pytest.mark.parametrize(
    ("rule", "penalty", "length", "divisor"),
    [
        ("power", 1.0, 7, 7.0),
        ("power", 0.0, 7, 1.0),
        ("power", 2.0, 3, 9.0),
        ("gnmt", 1.0, 7, 2.0),
        ("gnmt", 1.0, 1, 1.0),
        ("gnmt", 0.0, 50, 1.0),
        ("gnmt", 2.0, 13, 9.0),
    ],
)
def test_that_a_length_is_divided_by_its_published_rule(rule: Any, penalty: float, length: int, divisor: float) -> None:
    assert length_divisor(Beam(length_rule=rule, length_penalty=penalty), length) == pytest.approx(divisor, rel=1e-12)


def level(*states: Any) -> BeamLevel:
    nodes = (
        BeamNode(step=0, slot=n, parent=-1, id=n, text="", logprob=-1.0, score=-1.0, state=s)
        for n, s in enumerate(states)
    )
    return BeamLevel(step=0, nodes=tuple(nodes))


def drafted(tokens: int) -> DraftRound:
    one = DraftedToken(id=1, text="", p=0.5, q=0.5, u=0.1, verdict="accepted", expected=1.0)
    return DraftRound(round=0, drafted=(one,) * tokens, added=None)


@pytest.mark.parametrize(
    ("most", "kept"),
    [(9, [["live", "pruned", "finished"], ["pruned", "live"]]), (5, [["live", "pruned", "finished"], ["pruned", "live"]]),
     (4, [["live", "finished"], ["live"]]), (3, [["live", "finished"], ["live"]]), (2, []), (0, [])],
)  # fmt: skip
def test_that_a_tree_is_kept_whole_or_without_what_was_dropped_or_not_at_all(most: int, kept: list[list[str]]) -> None:
    found = bounded((level("live", "pruned", "finished"), level("pruned", "live")), most)
    assert [[node.state for node in one.nodes] for one in found if isinstance(one, BeamLevel)] == kept


@pytest.mark.parametrize(("most", "kept"), [(7, 2), (6, 0), (8, 2), (0, 0)])
def test_that_a_round_of_drafts_counts_its_drafted_tokens_and_itself(most: int, kept: int) -> None:
    rounds = (drafted(3), drafted(2))
    assert bounded(rounds, most) == rounds[:kept]


@pytest.mark.parametrize(
    ("kind", "wanted", "usable"),
    [
        *((kind, kind, True) for kind in DATASET_KINDS),
        *((kind, "rankings", kind == "preferences") for kind in DATASET_KINDS),
        *((kind, "items", kind == "preferences") for kind in DATASET_KINDS),
        ("demonstrations", "prompts", True), ("preferences", "prompts", True), ("documents", "prompts", False),
        ("prompts", "demonstrations", False), ("preferences", "demonstrations", False), ("demonstrations", "preferences", False),
        ("demonstrations", "documents", False), ("documents", "preferences", False),
    ],
)  # fmt: skip
def test_that_a_dataset_serves_what_it_can(kind: Any, wanted: Any, usable: bool) -> None:
    assert usable_as(kind, wanted) is usable


def test_that_every_snapshot_has_columns() -> None:
    assert set(COLUMNS) == set(SNAPSHOT_KINDS)
    assert all(columns[:2] == ("prompt", "raw") for kind, columns in COLUMNS.items() if kind != "documents")


@pytest.mark.parametrize("kind", list(HEADLINES))
def test_that_headlines_come_first_then_the_table_then_strangers(kind: str) -> None:
    first = list(HEADLINES[kind])
    others = [name for name in METRICS if name not in first]
    names = ["zz/strange", *reversed(others), "aa/strange", *reversed(first)]
    assert in_reading_order(kind, names) == [*first, *others, "aa/strange", "zz/strange"]
    assert in_reading_order(kind, []) == []


def test_that_an_unknown_kind_reads_its_loss_first() -> None:
    assert in_reading_order("plug-in", ["kl", "b/x", "loss", "a/x"]) == ["loss", "kl", "a/x", "b/x"]
    assert headline("plug-in") == "loss"


def test_that_each_kind_has_one_metric_that_stands_for_it() -> None:
    expected = {
        "pretrain": "loss", "sft": "loss", "reward": "accuracy", "dpo": "rewards/accuracy", "ppo": "reward/score",
        "judge": "judge/kept", "score": "score/agreement", "revise": "revise/kept", "study": "study/texts",
        "grpo": "reward/score", "weighted": "reward/score",
    }  # fmt: skip
    assert {kind: headline(kind) for kind in HEADLINES} == expected


def test_that_a_metric_on_held_out_rows_speaks_like_the_metric() -> None:
    plain, held = metric("loss"), metric("eval/loss")
    assert (held.name, held.title) == ("eval/loss", f"{plain.title}, held out")
    assert held.sentence == f"On held-out rows: {plain.sentence}"
    assert (held.unit, held.good) == (plain.unit, plain.good)


def test_that_a_strange_metric_speaks_for_itself() -> None:
    assert tuple(metric("my_own_thing")) == ("my_own_thing", "my own thing", "", "none", "Reported by the recipe.")
    assert metric("eval/my_own").sentence == "On held-out rows: Reported by the recipe."


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
        ("192.168.1.4", False), ("localhost.example.org", False), ("my-host", False), ("Localhost", False),
    ],
)  # fmt: skip
def test_that_a_server_knows_whether_others_reach_it(host: str, here: bool) -> None:
    assert ServeSettings(host=host).only_here is here


@pytest.mark.parametrize(
    ("size", "pixels", "found"),
    [
        (15, 1, 16),
        (15, -1, 14),
        (20, 0, 15),
        (LARGEST_READING, 1, LARGEST_READING),
        (SMALLEST_READING, -3, SMALLEST_READING),
    ],
)
def test_that_letters_grow_within_bounds_and_zero_brings_them_back(size: int, pixels: int, found: int) -> None:
    settings = Settings(reading_size=size, theme="dark")
    assert settings.reading_resized(pixels) == Settings(reading_size=found, theme="dark")


def test_that_the_facts_of_a_field_are_what_the_form_looks_for() -> None:
    assert group("G") == {"group": "G", "unit": "", "advanced": False, "when": None, "lines": 1}
    when = ("method", ("lora",))
    assert group("G", unit="s", advanced=True, when=when, lines=4) == {
        "group": "G", "unit": "s", "advanced": True, "when": when, "lines": 4,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "other"),
    [
        (Greedy(), None),
        (Sample(), None),
        (Contrastive(), None),
        (Contrastive(amateur="small"), "small"),
        (Speculative(draft="small"), "small"),
        (Speculative(draft="ngram"), None),
    ],
)
def test_that_a_strategy_says_which_other_model_it_needs(settings: Any, other: str | None) -> None:
    assert other_model(settings) == other


def test_that_a_round_is_found_by_everything_in_it() -> None:
    column = RoundColumn(model="/models/Tale", settings=Sample(), text="Ünique ANSWER")
    words = Round(id="r", created=NOW, prompt=Prompt.from_text("Why?"), prefill="Because", columns=(column,)).words
    assert all(part in words for part in ("why?", "because", "/models/tale", "sample", "ünique answer"))
    assert "greedy" not in words


# Judgements


@pytest.mark.parametrize(
    ("scores", "tiers"),
    [
        ([1.0], ((0,),)),
        ([1.0, 2.0], ((1,), (0,))),
        ([2.0, 2.0], ((0, 1),)),
        ([0.0, -0.0], ((0, 1),)),
        ([3.0, 1.0, 3.0, 2.0], ((0, 2), (3,), (1,))),
        ([float("inf"), 1.0, float("-inf")], ((0,), (1,), (2,))),
    ],
)
def test_that_scores_imply_a_ranking_in_which_equals_share_a_tier(scores: list[float], tiers: Any) -> None:
    assert ranking_from_scores(scores) == Ranking(tiers=tiers)


@pytest.mark.parametrize(
    ("tiers", "ranks"),
    [(((0,), (1,)), (0, 1)), (((1,), (0,)), (1, 0)), (((0, 1),), (0, 0)), (((2,), (0, 1)), (1, 1, 0)), (((2,), (0,), (1,)), (1, 2, 0))],
)  # fmt: skip
def test_that_ranks_are_the_tier_of_each_candidate(tiers: Any, ranks: tuple[int, ...]) -> None:
    assert ranks_of_tiers(tiers) == ranks


def test_that_pairs_are_weighed_by_how_far_apart_tiers_are_and_how_strongly_it_was_said() -> None:
    found = comparisons(Ranking(tiers=((1,), (0, 2), (3,))), strength=2)
    assert [(p.chosen, p.rejected, p.margin) for p in found] == [
        (1, 0, 2.0), (1, 2, 2.0), (1, 3, 4.0), (0, 3, 2.0), (2, 3, 2.0),
    ]  # fmt: skip
    assert comparisons(Ranking(tiers=((0, 1, 2),))) == ()


@pytest.mark.parametrize(
    ("opinions", "pairs", "share"), [(1, 1, 1.0), (2, 1, 0.5), (1, 3, 1 / 3), (2, 6, 1 / 12), (4, 0, 0.25)]
)
def test_that_an_item_weighs_one_however_often_it_was_judged(opinions: int, pairs: int, share: float) -> None:
    assert pair_share(opinions, pairs) == share


def verdict(name: str, minute: int, purpose: Any = "label", **more: Any) -> Judgement:
    fields = {"outcome": "ranked", "ranking": Ranking(tiers=((0,), (1,))), **more}
    return Judgement(
        id=name, item="i", annotator=name, shown=(0, 1), shown_seed=1, milliseconds=1,
        created=NOW + timedelta(minutes=minute), purpose=purpose, **fields,
    )  # fmt: skip


def test_that_the_newest_verdict_settles_whatever_stands_last() -> None:
    labels = [verdict("ann", 5), verdict("bob", 6)]
    old, new = verdict("old", 7, "adjudication"), verdict("new", 9, "adjudication")
    assert settled([new, *labels, old]) == [new]
    assert settled(labels) == labels
    assert settled([]) == []


def test_that_a_skipped_verdict_settles_nothing_and_repeats_never_count() -> None:
    skipped = verdict("cy", 9, "adjudication", outcome="skipped", ranking=None, skip_reason="unsafe")
    label = verdict("ann", 5)
    found = settled([label, verdict("ann2", 6, "repeat"), verdict("bob", 7, "extra"), skipped])
    assert label in found and [j.purpose for j in found if j.purpose in {"repeat", "extra"}] == []
