"""Numbers and times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime


def duration(seconds: float) -> str:
    """`8 s`, `4 min`, `2 h 10 min`, `3 d 4 h`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def ago(moment: datetime, now: datetime | None = None) -> str:
    """`just now`, `4 min ago`, `yesterday`, or the date."""
    here = now or datetime.now(UTC)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    seconds = (here - aware).total_seconds()
    if seconds < 60:
        return "just now"
    if seconds < 86_400:
        return f"{duration(seconds)} ago"
    if seconds < 2 * 86_400:
        return "yesterday"
    return aware.astimezone().strftime("%d %b %Y").lstrip("0")


def count(number: int, one: str, many: str = "") -> str:
    """`1 row`, `2,312 rows`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def short(number: float) -> str:
    """A large count in three figures: `998`, `2.61 M`, `7.2 B`."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size * 0.9995:
            scaled = number / size
            return f"{scaled:.3g} {letter}" if abs(scaled) < 999.5 else f"{scaled:,.0f} {letter}"
    return f"{number:.3g}" if number != int(number) else f"{int(number)}"


def size(count_of_bytes: float) -> str:
    """A size in bytes: `812 B`, `1.4 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count_of_bytes < (1024 if unit == "B" else 1023.95):
            return f"{count_of_bytes:.0f} {unit}" if unit == "B" else f"{count_of_bytes:.1f} {unit}"
        count_of_bytes /= 1024
    return f"{count_of_bytes:.1f} TiB"
