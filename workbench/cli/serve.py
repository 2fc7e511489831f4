"""`workbench serve`: models of a workspace behind OpenAI's interface, until Ctrl+C."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from workbench.cli.common import command, opened
from workbench.cli.output import Output
from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.serving import ServeSettings, Serving
from workbench.services.serving import settings_for
from workbench.services.workbench import Workbench

LOOK = 0.1  # seconds between two looks at the server


def add(commands: Any, name: str, sentence: str) -> None:
    """Add the command; an option for each setting, made from its declaration."""
    parser = command(commands, name, run_serve, sentence,
                     "serve my-work tour-dpo --port 8080\n\n"
                     "  from openai import OpenAI\n"
                     '  client = OpenAI(base_url="http://127.0.0.1:8080/v1", api_key="KEY THAT IS PRINTED")\n'
                     '  client.chat.completions.create(model="tour-dpo", messages=[{"role": "user", "content": "Hello"}])')  # fmt: skip
    parser.add_argument("model", nargs="+", metavar="MODEL", help="models of the workspace; adapters share their base")
    parser.add_argument(
        "--api-key-file", type=Path, metavar="FILE", help="keys, one a line (default: a new key, printed)"
    )
    for field, info in ServeSettings.model_fields.items():
        option, unit = f"--{field.replace('_', '-')}", (info.json_schema_extra or {}).get("unit")  # type: ignore[union-attr]
        words = (
            f"{info.description} [{info.default}{f' {unit}' if unit else ''}]"
            if info.default != ""
            else info.description
        )
        words = (words or "").replace("%", "%%")
        if info.annotation is bool:
            parser.add_argument(option, dest=field, action="store_true", help=words)
        else:
            kind = int if info.annotation is int else float if info.annotation is float else str
            parser.add_argument(option, dest=field, type=kind, default=info.default, help=words)


def run_serve(arguments: argparse.Namespace, output: Output) -> int:
    """Serve until Ctrl+C; a second one doesn't wait for requests under way."""
    values = {field: getattr(arguments, field) for field in ServeSettings.model_fields}
    for field in ("cert", "key", "record"):
        values[field] = str(Path(values[field]).expanduser().absolute()) if values[field] else ""
    settings = settings_for(**values)
    keys = _keys(arguments.api_key_file) if arguments.api_key_file is not None else ()
    with opened(arguments) as bench:
        keys = bench.serving.start(arguments.model, settings, keys)
        try:
            state = _until(bench, "ready", output)
            _say_ready(output, state, settings, "" if arguments.api_key_file else keys[0])
            _until(bench, "stopped", output)
        except KeyboardInterrupt:
            output.say("Stopping: requests under way may end; Ctrl+C again doesn't wait for them.")
            _stop(bench, settings)
    return 0


def _until(bench: Workbench, wanted: str, output: Output) -> Serving:
    """Wait for a state; RunFailed when the server has failed."""
    told = ""
    while (state := bench.serving.state()).state not in (wanted, "stopped"):
        if state.state == "failed":
            raise RunFailed(state.what, state.hint or f"Its log is {bench.serving.log}.")
        if state.loading and state.loading != told:
            told = state.loading
            output.say(f"loading {told}")
        time.sleep(LOOK)
    return state


def _stop(bench: Workbench, settings: ServeSettings) -> None:
    try:
        bench.serving.stop(settings.grace_seconds + 10)
    except KeyboardInterrupt:
        bench.serving.stop(5, now=True)


def _say_ready(output: Output, state: Serving, settings: ServeSettings, key: str) -> None:
    if settings.record:
        output.say(f"RECORDING: every prompt that comes in is written to {settings.record}.")
    if not settings.only_here:
        output.say(f"Everybody who reaches {settings.host} and has the key can use this server.")
        if not settings.cert:
            output.say("The connection isn't encrypted: give --cert and --key, or keep to a network that you trust.")
    document = {
        "address": state.address,
        "key": key or None,
        "models": list(state.models),
        "record": settings.record or None,
    }
    shown = f"key       {key}\n" if key else ""
    output.result(document, f"address   {state.address}\n{shown}models    {', '.join(state.models)}")


def _keys(file: Path) -> tuple[str, ...]:
    try:
        lines = file.read_text(encoding="utf-8").split()
    except (OSError, ValueError) as error:
        raise BadInput(f"{file} can't be read: {error}.", "Give a text file with a key in each line.") from error
    if not lines:
        raise BadInput(f"{file} holds no key.", "Write a key of at least 16 letters into it.")
    return tuple(lines)
