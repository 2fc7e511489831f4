"""Which devices a run may get, what nvidia-smi says, and settings over restarts and odd values."""

import stat
from pathlib import Path

import pytest
from pydantic import BaseModel

from tests.services.conftest import make_item
from workbench.domain.errors import BadInput, Conflict, WorkbenchError
from workbench.domain.settings import Settings
from workbench.services.hardware import Gpu, parse_gpu, read_gpus, slots
from workbench.services.workbench import Workbench, last_workspace, remember_workspace


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called nvidia-smi that prints what the test writes into `answer`."""
    program, answer = tmp_path / "bin" / "nvidia-smi", tmp_path / "answer"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nwhile IFS= read -r line; do echo \"$line\"; done < '{answer}'\n")
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    answer.write_text("".join(f"Card {n}, 5, 1024, 24576\n" for n in range(4)))
    return answer


@pytest.mark.parametrize(
    ("visible", "count"),
    [
        (None, 4), ("0,1,2,3", 4), ("2", 1), ("3, 1", 2), ("", 0), (" ", 0), (",", 0), ("-1", 0), ("0,-1,2", 1),
        ("GPU-abc,GPU-def", 2), ("0,1,2,3,4,5", 4),
    ],
)  # fmt: skip
def test_that_there_is_a_slot_for_each_gpu_that_a_worker_would_see(
    smi: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, count: int
) -> None:
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert slots() == ("cpu", *(f"cuda:{n}" for n in range(count)))


@pytest.mark.parametrize("text", ["", "\n\n", "No devices were found\n", "a, b\n", "NVIDIA-SMI has failed, because\n"])
def test_that_an_answer_without_a_gpu_is_no_gpu(smi: Path, text: str) -> None:
    smi.write_text(text)
    assert read_gpus() == ()
    assert slots() == ("cpu",)


def test_that_lines_that_are_no_gpu_are_passed_over(smi: Path) -> None:
    smi.write_text("warning\nCard A, 5, 1024, 24576\n\nCard B, [N/A], 0, 8192\n")
    assert [(g.name, g.load) for g in read_gpus()] == [("Card A", 5.0), ("Card B", 0.0)]


@pytest.mark.parametrize(
    ("line", "gpu"),
    [
        ("A,1,2,3", Gpu("A", 1.0, 2 / 1024, 3 / 1024)),
        ("A, 99.5, 512.5, 1024", Gpu("A", 99.5, 512.5 / 1024, 1.0)),
        ("A, [Not Supported], [Unknown Error], 1024", Gpu("A", 0.0, 0.0, 1.0)),
        (", 1, 2, 1024", Gpu("", 1.0, 2 / 1024, 1.0)),
        ("A, -1, 1e3, 1024", Gpu("A", 0.0, 0.0, 1.0)),
        ("A, 1.2.3, ., 1024", Gpu("A", 0.0, 0.0, 1.0)),
        ("A, 1, 2", None),
        ("", None),
        ("a,b,c,d,e", Gpu("a,b", 0.0, 0.0, 0.0)),
    ],
)
def test_that_each_value_of_a_line_is_read_or_counts_as_none(line: str, gpu: Gpu | None) -> None:
    assert parse_gpu(line) == gpu


def edges() -> list[tuple[str, object]]:
    """Every bound of every numeric setting, from the declaration itself."""
    found: list[tuple[str, object]] = []
    for name, field in Settings.model_fields.items():
        for bound in field.metadata:
            found += [(name, value) for key in ("ge", "le") if (value := getattr(bound, key, None)) is not None]
    return found


@pytest.mark.parametrize(("name", "bound"), edges())
def test_that_a_bound_is_allowed_and_one_step_beyond_is_refused(bench: Workbench, name: str, bound: int) -> None:
    assert getattr(bench.settings.change(**{name: bound}), name) == bound
    beyond = bound + 1 if bound > getattr(Settings(), name) else bound - 1
    with pytest.raises(BadInput, match=name) as caught:
        bench.settings.change(**{name: beyond})
    assert caught.value.hint
    assert getattr(bench.settings.get(), name) == bound


@pytest.mark.parametrize("name", ["", "x" * 81])
def test_that_nobody_signs_with_no_name_or_an_endless_one(bench: Workbench, name: str) -> None:
    with pytest.raises(BadInput, match="annotator"):
        bench.settings.change(annotator=name)
    assert bench.settings.get().annotator == "me"


@pytest.mark.parametrize("name", ["x", "安娜", "آنا", "O'Brien; --", "x" * 80])
def test_that_any_name_is_kept_over_a_restart(tmp_path: Path, name: str) -> None:
    with Workbench.open(tmp_path, create=True) as bench:
        bench.settings.change(annotator=name, raw_text=True)
    with Workbench.open(tmp_path) as again:
        assert again.settings.get() == Settings(annotator=name, raw_text=True)


def test_that_every_wrong_field_is_named_and_none_is_changed(bench: Workbench) -> None:
    with pytest.raises(BadInput) as caught:
        bench.settings.change(theme="purple", font_size=1, annotator="anna")
    assert "theme" in caught.value.what
    assert "font_size" in caught.value.what
    assert bench.settings.get() == Settings()


def test_that_two_windows_change_different_settings_without_undoing_each_other(tmp_path: Path) -> None:
    with Workbench.open(tmp_path, create=True) as one, Workbench.open(tmp_path) as two:
        one.settings.change(theme="dark")
        two.settings.change(font_size=18)
        assert one.settings.get() == two.settings.get() == Settings(theme="dark", font_size=18)


def test_that_the_workspace_s_settings_are_its_own(tmp_path: Path) -> None:
    with Workbench.open(tmp_path / "a", create=True) as one, Workbench.open(tmp_path / "b", create=True) as two:
        one.settings.change(annotator="anna")
        assert two.settings.get().annotator == "me"


def test_that_settings_are_a_frozen_value(bench: Workbench) -> None:
    value: BaseModel = bench.settings.get()
    with pytest.raises(ValueError, match="frozen"):
        value.theme = "dark"  # type: ignore[attr-defined]


def test_that_closing_twice_is_no_error_and_work_afterwards_is_told(tmp_path: Path) -> None:
    bench = Workbench.open(tmp_path, create=True)
    bench.close()
    bench.close()
    with pytest.raises(Conflict, match="closed"):
        bench.settings.get()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "3",
        "{}",
        '{"workspace": null}',
        '{"workspace": 3}',
        '{"workspace": ""}',
        '{"workspace": "\\u0000"}',
        "\xff",
    ],
)
def test_that_a_damaged_memory_is_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "rlhf-workbench").mkdir()
    (tmp_path / "rlhf-workbench" / "state.json").write_bytes(content.encode("latin-1"))
    assert last_workspace() is None


def test_that_only_the_newest_workspace_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("ä b", "c"):
        Workbench.open(tmp_path / name, create=True).close()
        remember_workspace(tmp_path / name)
        assert last_workspace() == tmp_path / name
    assert [p.name for p in (tmp_path / "config" / "rlhf-workbench").iterdir()] == ["state.json"]


@pytest.mark.parametrize("name", ["", " ", "\n", "a\nb", "a\u202eb", "x" * 121, "\x00"])
def test_that_a_dataset_s_name_can_be_shown(bench: Workbench, name: str) -> None:
    for attempt in (
        lambda: bench.datasets.create(name, "documents"),
        lambda: bench.labelling.add_item(name, make_item("x")),
    ):
        with pytest.raises(WorkbenchError, match="at most 120 characters"):
            attempt()
    assert bench.datasets.list() == []
