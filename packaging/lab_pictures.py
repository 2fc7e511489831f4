"""Takes a picture of every view of the decoding lab and every state of the Playground: `python packaging/lab_pictures.py OUT [MODEL]`.

MODEL is a folder with a small language model of the Llama family, the starter kit's if none is given. Its own first layers alone serve as
the weaker models that amateurs, drafts and relatives are: they share its tokenizer, and need no training. Both themes, two sizes,
off screen unless QT_QPA_PLATFORM says otherwise.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from lab_page import take_page
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget
from transformers import AutoModelForCausalLM, AutoTokenizer

from workbench.domain.choices import Aligned, Bar, BeamLevel, Distribution, DraftRound, Stage, TokenChoice
from workbench.domain.decoding import (
    Beam,
    Contrastive,
    ContrastiveSearch,
    DecodingSettings,
    Greedy,
    Sample,
    Speculative,
)
from workbench.domain.study import Figure, Study, StudyColumn
from workbench.engine.decoding.chain import Context, chain_for
from workbench.engine.decoding.decode import decode
from workbench.engine.decoding.lossless import lossless_between
from workbench.engine.decoding.measures import distinct, repetition
from workbench.engine.decoding.voice import Voice
from workbench.gui.app import make_app
from workbench.gui.pages.playground.aligned import AlignedView, ModelOnText
from workbench.gui.pages.playground.beam_view import BeamView
from workbench.gui.pages.playground.contrast import ContrastView
from workbench.gui.pages.playground.distribution import DistributionView
from workbench.gui.pages.playground.rounds import RoundsView
from workbench.gui.pages.playground.study_view import StudyView
from workbench.gui.pages.playground.token_view import TokenView
from workbench.gui.theme import Theme
from workbench.services.starter import kit_folder

SIZES = ((1216, 660), (960, 500))  # what a window of 1280 × 800 and one of 1024 × 640 leave to a panel
PROMPT = "Once upon a time, there was a little girl named Lily. One day, she"
Scene = tuple[str, Callable[[Theme], QWidget], Callable[[QWidget], object]]


class Lab:
    """A model, its weaker relatives, and everything that they say."""

    def __init__(self, folder: Path) -> None:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        layers = AutoModelForCausalLM.from_pretrained(folder).config.num_hidden_layers
        self.voices = {
            name: Voice.of(
                AutoModelForCausalLM.from_pretrained(folder, num_hidden_layers=count).eval(), tokenizer, [tokenizer.eos_token_id]
            )
            for name, count in (("whole", layers), ("most", layers - 1), ("half", max(1, layers - 2)))
        }  # fmt: skip
        self.voice = self.voices["whole"]
        self.ids = tokenizer.encode(PROMPT)

    def said(self, settings: DecodingSettings) -> tuple[list[TokenChoice], list[BeamLevel], list[DraftRound]]:
        """Tokens and asides of one text."""
        everything = list(decode(self.voice, self.ids, settings, others=self.voices))
        return (
            [one for one in everything if isinstance(one, TokenChoice)],
            [one for one in everything if isinstance(one, BeamLevel)],
            [one for one in everything if isinstance(one, DraftRound)],
        )

    def pieces(self) -> list[str]:
        """The prompt's tokens as they are shown."""
        return [self.voice.pieces[token] for token in self.ids]

    def logits(self, name: str, ids: list[int]) -> torch.Tensor:
        """[T, V] behind each token."""
        with torch.inference_mode():
            return torch.log_softmax(self.voices[name].model(torch.tensor([ids])).logits[0].float(), dim=-1)

    def distribution(self, tokens: Sequence[TokenChoice], position: int, settings: Sample, chosen: int) -> Distribution:
        """What the chain does at a position."""
        before = self.ids + [token.id for token in tokens[:position]]
        scores = self.logits("whole", before)[-1:]
        processed = chain_for(settings, self.voice.eos)(scores, Context([self.ids], [before[len(self.ids) :]]))
        stages = [("model", scores), *processed.stages]
        shares = [(rule, stage.softmax(dim=-1)[0]) for rule, stage in stages]
        model = shares[0][1]
        top = model.topk(40).indices.tolist()
        bars = []
        for token in top:
            p = tuple(float(share[token]) for _, share in shares)
            cut = next((rule for rule, share in shares if float(share[token]) == 0.0), None)
            bars.append(Bar(id=token, text=self.voice.pieces[token], p=p, cut_by=cut))
        told = [
            Stage(
                rule=rule, kept=int((share > 0).sum()), mass=float(model[share > 0].sum()),
                entropy=float(-(share[share > 0] * share[share > 0].log()).sum()),
            )
            for rule, share in shares
        ]  # fmt: skip
        return Distribution(position=position, stages=tuple(told), bars=tuple(bars), chosen=chosen, changed=position)

    def aligned(self, name: str, tokens: Sequence[TokenChoice]) -> tuple[Aligned, ...]:
        """One model against the weakest over a text."""
        ids = self.ids + [token.id for token in tokens]
        first = len(self.ids) - 1
        policy, reference = (self.logits(one, ids)[first:-1] for one in (name, "half"))
        p = policy.exp()
        kl, entropy = (p * (policy - reference)).sum(dim=-1), -(p * policy).sum(dim=-1)
        return tuple(
            Aligned(
                id=t.id, text=t.text, logprob=float(policy[n, t.id]), reference=float(reference[n, t.id]), kl=float(kl[n]),
                entropy=float(entropy[n]),
            )
            for n, t in enumerate(tokens)
        )  # fmt: skip

    def study(self) -> Study:
        """A few columns, four texts each."""
        made: list[tuple[str, DecodingSettings]] = [
            ("greedy", Greedy(max_new_tokens=48)), ("beam 4", Beam(max_new_tokens=48)),
            *((f"sample {t:g}", Sample(max_new_tokens=48, temperature=t)) for t in (0.5, 0.8, 1.0, 1.4)),
            ("top-p 0.9", Sample(max_new_tokens=48, top_p=0.9)),
        ]  # fmt: skip
        columns = []
        for label, settings in made:
            texts = [self.said(settings.model_copy(update={"seed": seed}))[0] for seed in range(4)]
            per_text = {
                "logprob": [sum(t.logprob for t in text) / len(text) for text in texts],
                "distinct_2": [distinct([t.id for t in text], 2) for text in texts],
                "repetition": [repetition([t.id for t in text]) for text in texts],
                "tokens": [float(len(text)) for text in texts],
            }
            columns.append(
                StudyColumn(
                    label=label, model="whole", settings=settings, figures={n: _figure(v) for n, v in per_text.items()}
                )
            )
        return Study(prompts=1, samples=4, columns=tuple(columns))


def _figure(values: Sequence[float]) -> Figure:
    mean = sum(values) / len(values)
    spread = 1.96 * (sum((v - mean) ** 2 for v in values) / (len(values) - 1) / len(values)) ** 0.5
    return Figure(value=mean, low=mean - spread, high=mean + spread, texts=len(values))


def scenes(lab: Lab) -> list[Scene]:
    """Each view with what it shows, and what a person does before the picture."""
    sampled = Sample(max_new_tokens=120, temperature=0.9, top_k=40, top_p=0.95, seed=3)
    tokens = lab.said(sampled)[0]
    undecided = max(range(4, 30), key=lambda n: tokens[n].entropy)
    beams = Beam(num_beams=6, max_new_tokens=24)
    levels = lab.said(beams)[1]
    drafted = Speculative(draft="most", gamma=4, max_new_tokens=90, temperature=0.8, seed=1)
    rounds = lab.said(drafted)[2]
    report = lossless_between(lab.voice, lab.voices, lab.ids, drafted, 600, lambda: True, lambda done, total: None)
    contrasted = lab.said(Contrastive(amateur="half", max_new_tokens=60))[0]
    searched = lab.said(ContrastiveSearch(max_new_tokens=60))[0]
    models = [ModelOnText(name, lab.aligned(name, tokens)) for name in ("half", "most", "whole")]
    study = lab.study()

    def token_view(theme: Theme) -> QWidget:
        view = TokenView(theme, "picture.tokens")
        view.add(tokens)
        view.set_kl([one.kl for one in models[2].tokens])
        view.set_mode("probability")
        view.set_mark(tokens[12].start)
        view.set_stale(80)
        return view

    def distribution_view(theme: Theme) -> QWidget:
        view = DistributionView(theme)
        likeliest = tokens[undecided].alternatives[0].id
        view.begin(sampled, tokens[undecided].id)
        view.take(lab.distribution(tokens, undecided, sampled, likeliest))
        return view

    def beam_view(theme: Theme) -> QWidget:
        view = BeamView(theme)
        view.begin(beams)
        for level in levels:
            view.add(level)
        return view

    def rounds_view(theme: Theme) -> QWidget:
        view = RoundsView(theme)
        for one in rounds:
            view.add(one)
        if report is not None:
            view.show_report(report)
        return view

    def contrast_view(said: Sequence[TokenChoice]) -> Callable[[Theme], QWidget]:
        def make(theme: Theme) -> QWidget:
            view = ContrastView(theme)
            view.begin(lab.pieces())
            view.add(said)
            return view

        return make

    def aligned_view(theme: Theme) -> QWidget:
        view = AlignedView(theme)
        view.show_models(models, "half")
        return view

    def study_view(theme: Theme) -> QWidget:
        view = StudyView(theme, lambda name, content: None)
        view.show_study(study)
        return view

    return [
        ("tokens", token_view, lambda view: _press(view, Qt.Key.Key_Home, *[Qt.Key.Key_Right] * 9)),
        ("distribution", distribution_view, lambda view: _press(view.bars, *[Qt.Key.Key_Down] * 4)),
        ("beams", beam_view, lambda view: _press(view.tree, Qt.Key.Key_Home, *[Qt.Key.Key_Right] * 3)),
        ("rounds", rounds_view, lambda view: _press(view.list, Qt.Key.Key_Home, Qt.Key.Key_Down, Qt.Key.Key_Right)),
        ("contrast", contrast_view(contrasted), lambda view: view.select(6)),
        ("contrastive_search", contrast_view(searched), lambda view: view.select(20)),
        ("aligned", aligned_view, lambda view: _press(view.text, *[Qt.Key.Key_Right] * 8)),
        ("study", study_view, lambda view: _press(view.plots[0], Qt.Key.Key_Right, Qt.Key.Key_Right)),
    ]


def _press(widget: QWidget, *keys: Qt.Key) -> None:
    widget.setFocus()
    for key in keys:
        QTest.keyClick(widget, key)


def main(arguments: list[str] | None = None) -> int:
    """Take the pictures; prints where they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("model", type=Path, nargs="?", default=kit_folder() / "model")
    parser.add_argument("--only", choices=("views", "page"), help="the single views, or the page in a window")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    theme = Theme(make_app())
    count = 0 if options.only == "page" else take_views(options.out, options.model, theme)
    if options.only != "views":
        with tempfile.TemporaryDirectory() as scratch:
            os.environ["XDG_CONFIG_HOME"] = scratch
            count += take_page(options.out, options.model, theme, Path(scratch))
    sys.stdout.write(f"{count} pictures in {options.out}\n")
    return 0


def take_views(out: Path, model: Path, theme: Theme) -> int:
    """Draw every view alone; returns how many pictures that were."""
    count = 0
    for (name, make, act), mode, size in product(scenes(Lab(model)), ("light", "dark"), SIZES):
        theme.apply(mode)
        window = QWidget()
        window.setObjectName("window_body")
        window.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        window.resize(*size)
        card = QFrame()
        card.setProperty("role", "card")
        outer, inner = QVBoxLayout(window), QVBoxLayout(card)
        view = make(theme)
        inner.addWidget(view)
        outer.addWidget(card)
        window.show()
        QTest.qWait(50)
        act(view)
        QTest.qWait(50)
        window.grab().save(str(out / f"lab-{name}-{mode}-{size[0]}x{size[1]}.png"))
        window.close()
        count += 1
    return count


if __name__ == "__main__":
    sys.exit(main())
