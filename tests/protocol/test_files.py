"""What reaches the disk of a run, byte for byte: forced out, never half there, and skipped without being read again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from workbench.domain.errors import BadInput, NotFound, StorageFailed, TooNew
from workbench.domain.events import Event, Finished, Metrics, Noticed
from workbench.domain.specs.sft import SftSpec
from workbench.protocol import event_log, wire
from workbench.protocol.event_log import EventTail, EventWriter
from workbench.protocol.pipes import take_over_pipes
from workbench.protocol.run_folder import RunFolder, read_json, write_atomically


@pytest.fixture
def forced(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What each file held when it was forced onto the disk."""
    if not Path("/proc/self/fd").exists():
        pytest.skip("looks at open files through /proc")
    found: list[bytes] = []

    def fsync(descriptor: int) -> None:
        found.append(Path(f"/proc/self/fd/{descriptor}").read_bytes())

    monkeypatch.setattr(os, "fsync", fsync)
    return found


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    writer = EventWriter(path)
    for step in range(1, 7):
        writer.write(Metrics(step=step, values={"loss": 1.0 / step}))
    writer.close()
    return path


def steps(events: list[Event]) -> list[int]:
    return [event.step for event in events if isinstance(event, Metrics)]


def test_that_closing_a_log_forces_all_of_it_onto_the_disk(tmp_path: Path, forced: list[bytes]) -> None:
    writer = EventWriter(tmp_path / "events.jsonl")
    writer.write(Finished(step=1))
    assert forced == []
    writer.sync()
    writer.write(Finished(step=2))
    writer.close()
    assert [content.count(b"\n") for content in forced] == [1, 2]


def test_that_a_small_file_is_forced_out_whole_before_it_takes_its_place(tmp_path: Path, forced: list[bytes]) -> None:
    path = tmp_path / "small.json"
    path.write_text("old")
    write_atomically(path, "new and whole")
    assert forced == [b"new and whole"]
    assert path.read_text() == "new and whole"


def test_that_a_file_beside_is_hidden_and_of_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda _descriptor: seen.extend(p.name for p in tmp_path.iterdir()))
    write_atomically(tmp_path / "small.json", "x")
    assert seen == [f".small.json.{os.getpid()}.tmp"]


@pytest.mark.parametrize("after", range(8))
def test_that_a_reader_goes_on_behind_any_number(log: Path, after: int) -> None:
    tail = EventTail(log, after=after)
    assert steps(tail.read()) == list(range(after + 1, 7))
    assert tail.after == max(after, 6)
    assert tail.read() == []


def test_that_lines_that_were_seen_are_not_parsed_again(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []

    def counted(line: bytes) -> Event:
        parsed.append(line)
        return wire.decode(line)

    monkeypatch.setattr(event_log, "decode", counted)
    tail = EventTail(log, after=4)
    assert steps(tail.read()) == [5, 6]
    assert len(parsed) == 2
    tail.read()
    assert len(parsed) == 2


def test_that_a_log_is_read_where_it_was_left_even_when_its_start_is_gone(log: Path) -> None:
    tail = EventTail(log)
    assert steps(tail.read(limit=4)) == [1, 2, 3, 4]
    content = log.read_bytes()
    begin = len(b"".join(content.splitlines(keepends=True)[:4]))
    log.write_bytes(b"x" * begin + content[begin:])
    assert steps(tail.read()) == [5, 6]


def test_that_a_torn_line_is_read_once_it_is_whole(log: Path) -> None:
    content = log.read_bytes()
    for cut in (1, 2, 20):
        log.write_bytes(content[:-cut])
        tail = EventTail(log)
        assert steps(tail.read()) == [1, 2, 3, 4, 5]
        log.write_bytes(content)
        assert steps(tail.read()) == [6]


@pytest.mark.parametrize("damage", [b"what?\n", b'{"v":1,"seq":9,"kind":"dance"}\n', b"\n", b"[]\n", b"\xff\n"])
@pytest.mark.parametrize("place", [0, 3, 6])
def test_that_damage_anywhere_is_told_once_and_passed(log: Path, damage: bytes, place: int) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:place], damage, *lines[place:]]))
    tail = EventTail(log)
    before = steps(tail.read()) if place else []
    with pytest.raises(BadInput) as caught:
        tail.read()
    assert (
        caught.value.what.startswith("Not an event: ")
        and caught.value.hint == "The run's events.jsonl is damaged here."
    )
    assert before + steps(tail.read()) == [1, 2, 3, 4, 5, 6]


def test_that_a_long_damaged_line_is_quoted_up_to_a_point() -> None:
    with pytest.raises(BadInput) as caught:
        wire.decode(b"x" * 500)
    assert caught.value.what == f"Not an event: {b'x' * 120!r}"
    with pytest.raises(BadInput) as caught:
        wire.decode(b'{"v": 1, "kind": "' + b"y" * 500 + b'"}')
    assert len(caught.value.what) < 160 and "y" in caught.value.what


def test_that_a_later_versions_log_says_what_to_do() -> None:
    with pytest.raises(TooNew) as caught:
        wire.decode(b'{"v": 99}')
    assert (caught.value.what, caught.value.hint) == (
        "This run was written by a newer version of the workbench.", "Update the workbench to read it.",
    )  # fmt: skip


@pytest.mark.parametrize("torn", [b"", b"{", b'{"v":1,"seq":7,"kind":"finished","step":7}'])
def test_that_a_writer_cuts_a_torn_line_and_goes_on_with_its_number(log: Path, torn: bytes) -> None:
    with log.open("ab") as file:
        file.write(torn)
    writer = EventWriter(log)
    assert writer.write(Noticed(what="Again.")).seq == 7
    writer.close()
    assert [event.seq for event in EventTail(log).read()] == list(range(1, 8))


def test_that_a_log_that_holds_a_torn_line_only_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"v":1,"seq":')
    writer = EventWriter(path)
    assert writer.write(Finished(step=1)).seq == 1
    writer.close()
    assert path.read_bytes().count(b"\n") == 1


def test_that_a_number_is_used_again_when_its_event_could_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = EventWriter(tmp_path / "events.jsonl")
    writer.write(Finished(step=1))
    whole = event_log._write_whole

    def full(_file: Any, _line: bytes) -> None:
        raise StorageFailed("The disk is full.", "Free some.")

    monkeypatch.setattr(event_log, "_write_whole", full)
    with pytest.raises(StorageFailed):
        writer.write(Finished(step=2))
    monkeypatch.setattr(event_log, "_write_whole", whole)
    assert writer.write(Finished(step=3)).seq == 2
    writer.close()


class Dribbling:
    """A file that takes a few bytes at a time, and fails after so many."""

    def __init__(self, path: Path, room: int) -> None:
        self.file, self.room = path.open("ab", buffering=0), room

    def fileno(self) -> int:
        return self.file.fileno()

    def truncate(self, size: int) -> int:
        return self.file.truncate(size)

    def write(self, content: bytes) -> int:
        if not self.room:
            raise OSError(28, "No space left on device")
        part = content[: min(5, self.room)]
        self.room -= len(part)
        return self.file.write(part)


@pytest.mark.parametrize("room", [0, 1, 5, 12, 13])
def test_that_a_line_is_there_whole_or_not_at_all(tmp_path: Path, room: int) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"before\n")
    file: Any = Dribbling(path, room)
    line = b"twelve bytes\n"
    if room < len(line):
        with pytest.raises(StorageFailed) as caught:
            event_log._write_whole(file, line)
        assert caught.value.what == "The run can't be reported any more: No space left on device."
        assert caught.value.hint == (
            "Free some space on the disk of the workspace, then resume the run from its last checkpoint."
        )
        assert path.read_bytes() == b"before\n"
    else:
        event_log._write_whole(file, line)
        assert path.read_bytes() == b"before\n" + line
    file.file.close()


# Run folders


def test_that_every_name_of_a_run_folder_is_the_one_that_other_versions_know() -> None:
    folder = RunFolder(Path("r"))
    assert {name: str(path) for name, path in vars(folder).items()} == {
        "path": "r", "spec": "r/spec.json", "data": "r/data.parquet", "function": "r/reward_function.py",
        "control": "r/control.json", "events": "r/events.jsonl", "log": "r/log.txt", "checkpoints": "r/checkpoints",
        "model": "r/model", "process": "r/process.json", "study": "r/study.json", "texts": "r/texts.json",
    }  # fmt: skip


def test_that_a_new_run_is_wanted_from_the_start(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "a" / "run")
    folder.create(SftSpec(name="tale"))
    assert read_json(folder.control) == {"wanted": "run"}
    assert folder.spec.read_text().endswith("}\n")
    assert sorted(p.name for p in folder.path.iterdir()) == ["control.json", "spec.json"]


def test_that_a_missing_run_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        RunFolder(tmp_path).read_spec()
    assert caught.value.what == f"There is no run in {tmp_path}."
    assert caught.value.hint == "A run folder holds a spec.json; check the path."


def test_that_a_damaged_spec_is_named(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text("{")
    with pytest.raises(BadInput) as caught:
        RunFolder(tmp_path).read_spec()
    assert caught.value.what.startswith(f"{tmp_path / 'spec.json'} can't be read: ")
    assert caught.value.hint == "Restore the file or start the run anew."


def test_that_a_file_that_is_no_text_leaves_nothing_beside_it(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_atomically(tmp_path / "small.json", "\ud800")
    assert list(tmp_path.iterdir()) == []


# Pipes


def test_that_a_process_keeps_its_pipes_for_the_protocol_alone() -> None:
    kept = os.dup(0), os.dup(1), os.dup(2)
    requests, replies, errors = os.pipe(), os.pipe(), os.pipe()
    try:
        os.dup2(requests[0], 0)
        os.dup2(replies[1], 1)
        os.dup2(errors[1], 2)
        source, sink = take_over_pipes()
        os.write(requests[1], b"ask\n")
        os.write(1, b"a library prints\n")
        sink.write(b"answer\n")
        heard, read_from_zero = source.readline(), os.read(0, 100)
        source.close()
        sink.close()
    finally:
        for number, descriptor in enumerate(kept):
            os.dup2(descriptor, number)
            os.close(descriptor)
    said, printed = os.read(replies[0], 100), os.read(errors[0], 100)
    for descriptor in (*requests, *replies, *errors):
        os.close(descriptor)
    assert (heard, said, printed) == (b"ask\n", b"answer\n", b"a library prints\n")
    assert read_from_zero == b""  # nothing can be read from there any more


def test_that_a_wish_is_one_line_of_json(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.want("stop")
    assert json.loads(folder.control.read_text()) == {"wanted": "stop"}
    assert folder.control.read_text().endswith("\n")
