"""The table of formats that are read, the most specific first: detection takes the first that fits."""

from __future__ import annotations

from workbench.domain.errors import BadInput
from workbench.formats import alpaca, hh, native, plain, trl, ultrafeedback
from workbench.formats.spec import Format

FORMATS: dict[str, Format] = {
    form.name: form
    for form in (
        *native.NATIVE,
        ultrafeedback.ULTRAFEEDBACK,
        hh.HH,
        alpaca.ALPACA_PREFERENCE,
        trl.PREFERENCE,
        alpaca.ALPACA,
        trl.COMPLETION,
        trl.MESSAGES,
        trl.PROMPTS,
        trl.TEXT,
        plain.TEXT_BLOCKS,
        plain.TEXT,
        plain.PROMPT_LINES,
    )
}


def format_named(name: str) -> Format:
    """A format of the table; raises BadInput that lists the others."""
    if name not in FORMATS:
        raise BadInput(f"There is no format '{name}'.", f"Formats are: auto, {', '.join(FORMATS)}.")
    return FORMATS[name]
