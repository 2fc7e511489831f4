import os
from pathlib import Path

import pytest

from workbench.domain.errors import BadInput, StorageFailed, TooNew
from workbench.domain.events import Event, Finished, Metrics, Started
from workbench.protocol.event_log import EventTail, EventWriter, decode


def metrics(step: int) -> Metrics:
    return Metrics(step=step, values={"loss": 1.0 / step})


def written(path: Path, *steps: int) -> list[Event]:
    log = EventWriter(path)
    events = [log.write(metrics(step)) for step in steps]
    log.close()
    return events


def test_that_events_get_consecutive_numbers_and_come_back_as_they_went(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    events = written(path, 1, 2, 3)
    assert [e.seq for e in events] == [1, 2, 3]
    assert EventTail(path).read() == events


def test_that_an_event_can_be_read_the_moment_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log, tail = EventWriter(path), EventTail(path)
    for step in range(1, 6):
        event = log.write(metrics(step))
        assert tail.read() == [event]
    assert tail.read() == []
    log.close()


def test_that_a_second_writer_goes_on_with_the_numbers(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    written(path, 1, 2)
    assert [e.seq for e in written(path, 3)] == [3]
    assert [e.seq for e in EventTail(path).read()] == [1, 2, 3]


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_that_a_line_torn_by_a_kill_is_cut_off_by_the_next_writer(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "events.jsonl"
    written(path, 1, 2, 3)
    content = path.read_bytes()
    path.write_bytes(content[:-cut])
    tail = EventTail(path)
    assert [e.seq for e in tail.read()] == [1, 2]
    assert [e.seq for e in written(path, 30)] == [3]
    assert [e.step for e in tail.read()] == [30]


def test_that_a_file_that_holds_only_a_torn_line_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"v": 1, "kind": "met')
    assert EventTail(path).read() == []
    assert [e.seq for e in written(path, 1)] == [1]
    assert len(EventTail(path).read()) == 1


def test_that_a_half_written_line_is_left_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    written(path, 1)
    whole = path.read_bytes()
    tail = EventTail(path)
    path.write_bytes(whole[:20])
    assert tail.read() == []
    path.write_bytes(whole)
    assert [e.seq for e in tail.read()] == [1]


def test_that_a_tail_starts_after_the_number_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    written(path, 1, 2, 3, 4)
    tail = EventTail(path, after=2)
    assert [e.seq for e in tail.read()] == [3, 4]
    assert tail.after == 4


def test_that_what_was_read_before_is_passed_over_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.jsonl"
    written(path, *range(1, 101))
    read: list[bytes] = []
    monkeypatch.setattr("workbench.protocol.event_log.decode", lambda line: read.append(line) or decode(line))
    assert [e.seq for e in EventTail(path, after=98).read()] == [99, 100]
    assert len(read) == 2


def test_that_numbers_are_found_also_in_lines_of_another_hand(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(
        b'{"kind": "resumed", "seq": 1, "v": 1, "step": 3}\n{"seq": 2, "v": 1, "kind": "resumed", "step": 4}\n'
    )
    assert [e.seq for e in EventTail(path, after=1).read()] == [2]


def test_that_a_missing_file_is_no_news(tmp_path: Path) -> None:
    tail = EventTail(tmp_path / "events.jsonl")
    assert tail.read() == []
    written(tmp_path / "events.jsonl", 1)
    assert len(tail.read()) == 1


def test_that_a_long_log_can_be_read_in_slices(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    written(path, *range(1, 26))
    tail = EventTail(path)
    slices = [[e.seq for e in tail.read(limit=10)] for _ in range(4)]
    assert [len(s) for s in slices] == [10, 10, 5, 0]
    assert [seq for part in slices for seq in part] == list(range(1, 26))


def test_that_a_damaged_line_is_told_once_and_costs_no_other_event(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    written(path, 1, 2, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"what is this?\n" + lines[1] + lines[2])
    tail = EventTail(path)
    assert [e.seq for e in tail.read()] == [1]
    with pytest.raises(BadInput):
        tail.read()
    assert [e.seq for e in tail.read()] == [2, 3]


def test_that_a_log_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"v": 99, "kind": "finished", "step": 1}\n')
    with pytest.raises(TooNew):
        EventTail(path).read()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_that_a_full_disk_is_one_clear_sentence(tmp_path: Path) -> None:
    log = EventWriter(tmp_path / "events.jsonl")
    log.write(metrics(1))
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, log._file.fileno())
    os.close(full)
    with pytest.raises(StorageFailed) as caught:
        log.write(metrics(2))
    assert "No space left" in caught.value.what
    assert caught.value.hint
    log._file.close()


def test_that_a_line_which_was_written_in_part_leaves_nothing_behind(tmp_path: Path) -> None:
    import resource

    path = tmp_path / "events.jsonl"
    log = EventWriter(path)
    log.write(Started(pid=1, pid_started=1.0, host="here"))
    size = path.stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 30, before[1]))
    try:
        with pytest.raises(StorageFailed):
            log.write(metrics(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.stat().st_size == size
    log.write(Finished(step=1))
    log.close()
    assert [(e.seq, e.kind) for e in EventTail(path).read()] == [(1, "started"), (2, "finished")]
