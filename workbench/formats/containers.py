"""Files as sequences of records or as text: JSON lines, JSON, CSV, Parquet and plain text, each plain or gzipped.

Trouble with a whole file raises BadInput; trouble with one line is handed out in its place.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, cast

from workbench.domain.errors import BadInput

RECORD_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
TEXT_SUFFIXES = (".txt", ".md", ".text")
BOMS = ((codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"))
Numbered = tuple[int, dict[str, Any] | str]  # (line, record) or (line, why it isn't one)


def suffix_of(path: Path) -> str:
    """The extension that says what is inside, without .gz; files without a known one are sniffed by their first character."""
    inner = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    suffix = inner.suffix.lower()
    if suffix in RECORD_SUFFIXES or suffix in TEXT_SUFFIXES:
        return suffix
    start = _first_bytes(path)
    if start.startswith(b"PAR1"):
        return ".parquet"
    return ".jsonl" if start.startswith(b"{") else ".json" if start.startswith(b"[") else ".txt"


def check_file(path: Path) -> None:
    """Raise BadInput for a file that can't be a dataset at all: missing, a folder, unreadable, empty, or binary."""
    if not path.exists():
        raise BadInput(f"There is no file {path}.", "Check the path; names are case-sensitive.")
    if path.is_dir():
        raise BadInput(f"{path} is a folder, not a file.", "Give the files inside it.")
    if not path.is_file():
        raise BadInput(
            f"{path} is not an ordinary file, and an import reads its files twice.", "Write it to a file first."
        )
    start = _first_bytes(path)
    if not start:
        raise BadInput(f"{path.name} is empty.", "Choose a file with at least one row.")
    if start.startswith((b"PAR1", *(bom for bom, _ in BOMS))):
        return
    if b"\0" in start:
        raise BadInput(
            f"{path.name} is a binary file, not a dataset.",
            "Readable are .jsonl, .jsonl.gz, .json, .csv, .tsv, .parquet and .txt.",
        )


def _first_bytes(path: Path, count: int = 4096) -> bytes:
    """The first bytes that say something: without a byte order mark of UTF-8, and without blank space before them."""
    try:
        with _open(path) as file:
            start = file.read(count).removeprefix(codecs.BOM_UTF8).lstrip()
            while not start and (more := file.read(count)):
                start = more.lstrip()
            return start
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    if path.suffix.lower() == ".gz" and not zipped and path.stat().st_size:
        raise BadInput(
            f"{path.name} is not a gzip file although its name ends in .gz.", "Remove .gz from its name or compress it."
        )
    return cast("IO[bytes]", gzip.open(path, "rb")) if zipped else path.open("rb")


def _unreadable(path: Path, error: Exception) -> BadInput:
    if isinstance(error, EOFError):
        return BadInput(
            f"{path.name} ends in the middle of its gzip data: it is truncated.", "Download or copy the file again."
        )
    if isinstance(error, gzip.BadGzipFile | zlib.error):
        return BadInput(f"{path.name} has damaged gzip data: {error}.", "Download or copy the file again.")
    reason = getattr(error, "strerror", None) or str(error)
    return BadInput(f"{path.name} can't be read: {reason}.", "Check the file's permissions and that its disk is there.")


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number from 1, text with its newline) of each line; raises BadInput for damaged gzip and bytes that aren't UTF-8."""
    check_file(path)
    position = 0
    try:
        with _open(path) as file:
            for number, raw in enumerate(file, 1):
                data = raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw
                try:
                    text = data.decode()
                except UnicodeDecodeError as error:
                    raise _not_utf8(path, raw, position + len(raw) - len(data) + error.start, number) from error
                position += len(raw)
                yield number, text
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error


def _not_utf8(path: Path, raw: bytes, position: int, number: int) -> BadInput:
    encoding = next((name for bom, name in BOMS if raw.startswith(bom)), "")
    if not encoding:
        try:
            raw.decode("cp1252")
            encoding = "Windows-1252"
        except UnicodeDecodeError:
            encoding = "Latin-1"
    code = {"Windows-1252": "CP1252", "Latin-1": "LATIN1"}.get(encoding, encoding)
    return BadInput(
        f"{path.name} is not UTF-8: the byte at position {position} (line {number}) can't be decoded.",
        f"It looks like {encoding}; convert it, for example: iconv -f {code} -t UTF-8 {path.name} > converted{''.join(path.suffixes)}",
    )


def text(path: Path) -> str:
    """The whole text of a file, with the same checks as `lines`."""
    return "".join(part for _, part in lines(path))


def records(path: Path) -> Iterator[Numbered]:
    """(line or row number from 1, record) of a file, or (number, reason) where a line is no record."""
    suffix = suffix_of(path) if path.is_file() else ""
    check_file(path)
    if suffix == ".parquet":
        return _parquet(path)
    if suffix in {".csv", ".tsv"}:
        return _csv(path, "\t" if suffix == ".tsv" else ",")
    return _json(path) if suffix == ".json" else _json_lines(path)


def _json_lines(path: Path) -> Iterator[Numbered]:
    for number, line in lines(path):
        if not line.strip():
            continue
        try:
            yield number, _record(_JSON.decode(line))
        except json.JSONDecodeError as error:
            cut = " The file seems to be cut off here." if not line.endswith("\n") else ""
            yield number, f"Bad JSON: {error.msg} at character {error.colno}.{cut}"
        except RecursionError:
            yield number, "Bad JSON: brackets are nested too deeply."
        except ValueError as error:
            yield number, f"Bad JSON: {error}."


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; a name that stands twice is refused, since one of its values would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the name {next(n for n in names if names.count(n) > 1)!r} stands twice in one object")
    return found


def _whole(digits: str) -> int:
    try:
        return int(digits)
    except ValueError as error:
        raise ValueError(f"a number has {len(digits.lstrip('-'))} digits, too many to be read") from error


_JSON = json.JSONDecoder(object_pairs_hook=_object, parse_int=_whole)


def _record(value: Any) -> dict[str, Any] | str:
    if isinstance(value, dict):
        return value
    return f"The line should be a JSON object with named fields but is {json.dumps(value, ensure_ascii=False)[:40]}."


def _json(path: Path) -> Iterator[Numbered]:
    content = text(path)
    try:
        value = _JSON.decode(content)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":  # JSON lines under a .json name
            yield from _json_lines(path)
            return
        cut = " It seems to be cut off." if error.pos >= len(content.rstrip()) else ""
        raise BadInput(
            f"{path.name} is not valid JSON: {error.msg} in line {error.lineno}, character {error.colno}.{cut}",
            "Restore the file, or correct that line.",
        ) from error
    except RecursionError as error:
        raise BadInput(
            f"{path.name} nests brackets too deeply to be read.", "A dataset is a list of objects."
        ) from error
    except ValueError as error:
        raise BadInput(f"{path.name} can't be read: {error}.", "Correct it there.") from error
    for number, entry in enumerate(_rows_of(value, path), 1):
        yield number, _record(entry)


def _rows_of(value: Any, path: Path) -> list[Any]:
    """The rows of a list, of {"data": [...]}, or of columns {"prompt": [...], "chosen": [...]}."""
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        return list(value["data"])
    columns = list(value.values()) if isinstance(value, dict) else []
    if columns and all(isinstance(c, list) for c in columns) and len({len(c) for c in columns}) == 1:
        return [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]
    if columns and all(isinstance(c, list) and all(isinstance(e, str) for e in c) for c in columns):
        lengths = ", ".join(f"{name}: {len(column)}" for name, column in value.items())
        raise BadInput(
            f"The columns of {path.name} have different lengths ({lengths}).", "Restore the missing entries."
        )
    if isinstance(value, dict):
        return [value]
    if isinstance(value, list):
        return value
    raise BadInput(
        f"{path.name} holds a single JSON value, not rows.",
        "A dataset is a list of objects, or one object in each line.",
    )


def _csv(path: Path, comma: str) -> Iterator[Numbered]:
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(io.StringIO(text(path), newline=""), delimiter=comma, strict=True)
    header = _header(reader, path)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            cut = " A quote is not closed; the file may be cut off." if "unexpected end" in str(error) else ""
            yield number, f"Bad CSV: {error}.{cut}"
            continue
        if not cells:
            continue
        if len(cells) != len(header):
            yield number, f"The row has {len(cells)} cells but the header has {len(header)}."
            continue
        yield number, {name: _cell(cell) for name, cell in zip(header, cells, strict=True)}


def _header(reader: Iterator[list[str]], path: Path) -> list[str]:
    """The names of the columns; BadInput when they can't be told apart."""
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise BadInput(f"{path.name} is not valid CSV: {error} in its header.", "Check the quotes there.") from error
    if twice := [name for name in header if header.count(name) > 1]:
        raise BadInput(
            f"{path.name} has several columns called {twice[0]!r}, so one of them would be lost.", "Rename them."
        )
    return header


def _cell(cell: str) -> Any:
    """A cell's text; lists of messages are written as JSON inside a cell."""
    if cell.startswith(("[{", '{"')):
        try:
            return _JSON.decode(cell)
        except (ValueError, RecursionError):
            return cell
    return cell


def _parquet(path: Path) -> Iterator[Numbered]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=1024):
                for record in batch.to_pylist():
                    number += 1
                    yield number, _plain(record)
    except (pa.ArrowException, OSError) as error:
        raise BadInput(
            f"{path.name} is not a readable Parquet file: {str(error).rstrip('.')}.", "Download or copy the file again."
        ) from error


def _plain(value: Any) -> Any:
    """A value of Parquet as JSON has it: dates in ISO's form, durations in seconds, decimals as numbers, maps as objects."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        if value and all(isinstance(entry, tuple) for entry in value):  # a map
            return {str(name): _plain(inner) for name, inner in value}
        return [_plain(inner) for inner in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value.isoformat() if isinstance(value, date | time) else str(value)
