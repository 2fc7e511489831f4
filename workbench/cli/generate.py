"""`workbench generate`: one completion from a model by a decoding strategy."""

from __future__ import annotations

import argparse
import time
from typing import Any

from pydantic import ValidationError

from workbench.cli.common import command, opened
from workbench.cli.output import Output
from workbench.cli.values import parse_sets
from workbench.domain.choices import Aside, LosslessReport, TokenChoice
from workbench.domain.decoding import STRATEGIES, DecodingSettings, Speculative
from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.specs.kinds import explain
from workbench.domain.text import Prompt
from workbench.services.views import Column, ColumnNews

SURPRISING = 0.001  # a p below this isn't put down to chance
LEAST_TEXTS = 50
LOOK = 0.02  # seconds between two looks at the worker


def add(commands: Any, name: str, sentence: str) -> None:
    """Add the command."""
    parser = command(commands, name, run_generate, sentence,
                     'generate my-work tour-dpo --prompt "Tell me a story about Mia and a bell." --strategy sample --set temperature=0.8')  # fmt: skip
    parser.add_argument("model")
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--raw", action="store_true", help="give the prompt to the model without its chat template")
    parser.add_argument("--strategy", default="greedy", choices=sorted(STRATEGIES))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the strategy")
    parser.add_argument(
        "--check-lossless", type=int, nargs="?", const=2000, metavar="TEXTS",
        help="with --strategy speculative: draw so many short texts (2000 unless told) and test whether the draft leaves "
        "the model's distribution as it was",
    )  # fmt: skip
    parser.add_argument(
        "--tokens",
        action="store_true",
        help="with --json: every token with its probabilities, what the strategy looked at besides, and its other texts",
    )


def settings_of(strategy: str, sets: list[str]) -> DecodingSettings:
    """Validated settings; BadInput names each that is unknown or out of bounds."""
    try:
        return STRATEGIES[strategy].model_validate(parse_sets(sets))
    except ValidationError as error:
        raise BadInput(*explain(error)) from error


def run_generate(arguments: argparse.Namespace, output: Output) -> int:
    """Stream one completion."""
    settings = settings_of(arguments.strategy, arguments.set)
    prompt = Prompt.from_text(arguments.prompt, raw=arguments.raw)
    with opened(arguments) as bench:
        if arguments.check_lossless is not None:
            return _check(bench, arguments.model, prompt, settings, arguments.check_lossless, output)
        bench.playground.start(prompt, [Column(arguments.model, settings)])
        tokens, asides, last, seconds = _follow(bench, output)
    text = last.text
    document: dict[str, Any] = {
        "text": text, "strategy": arguments.strategy, "settings": settings.model_dump(mode="json"), "seconds": round(seconds, 3),
        "tokens_per_second": round(len(tokens) / seconds, 1) if seconds else 0.0, "numbers": last.numbers,
    }  # fmt: skip
    if arguments.tokens:
        document["tokens"] = [t.model_dump(mode="json") for t in tokens]
        document["asides"] = [a.model_dump(mode="json") for a in asides]
        document["others"] = [{"text": other, "score": score} for other, score in last.others]
    output.result(document, text)
    return 0


def _check(bench: Any, model: str, prompt: Prompt, settings: DecodingSettings, samples: int, output: Output) -> int:
    """The test of losslessness: exit code 1 when the rule in use fails it."""
    if not isinstance(settings, Speculative):
        raise BadInput("Only drafts can change a distribution.", "Add --strategy speculative.")
    if samples < LEAST_TEXTS:
        raise BadInput(
            f"{samples} texts are too few for the test.", f"Draw at least {LEAST_TEXTS}; 2000 tell much more."
        )
    report = bench.playground.lossless(
        model, prompt, settings, samples, lambda done, total: output.progress(done, total, "texts")
    )
    lossless = report.exact.p >= SURPRISING
    output.result({"lossless": lossless, **report.model_dump(mode="json")}, _in_words(report, lossless))
    return 0 if lossless else 1


def _in_words(report: LosslessReport, lossless: bool) -> str:
    lines = [f"{report.samples} texts of {report.tokens} tokens with each rule:"]
    for rule in (report.exact, *report.wrong):
        name = "the rule in use" if rule is report.exact else f"wrong on purpose: {rule.name}"
        taken = "" if rule.acceptance is None else f", {rule.acceptance:.0%} of the drafts taken"
        lines.append(f"  {name}: chi-square {rule.chi_square:.1f} of {rule.degrees} degrees, p = {rule.p:.2g}{taken}")
    if not lossless:
        return "\n".join([*lines, "The texts don't have the model's distribution."])
    found = sum(rule.p < SURPRISING for rule in report.wrong)
    power = f"{found} of {len(report.wrong)} deliberately wrong rules were found out by the same test."
    return "\n".join([*lines, f"The texts have the model's distribution as far as this test can see; {power}"])


def _follow(bench: Any, output: Output) -> tuple[list[TokenChoice], list[Aside], ColumnNews, float]:
    tokens: list[TokenChoice] = []
    asides: list[Aside] = []
    started = 0.0
    while True:
        for news in bench.playground.poll():
            if news.error_what:
                raise RunFailed(news.error_what, news.error_hint)
            if news.tokens and not tokens:
                started = time.monotonic()
            tokens.extend(news.tokens)
            asides.extend(news.asides)
            output.progress(len(tokens), len(tokens) + 1, "tokens")
            if news.done:
                return tokens, asides, news, float(news.numbers.get("seconds", time.monotonic() - started))
        time.sleep(LOOK)
