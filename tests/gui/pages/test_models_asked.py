"""Models, their export and their server over services that answer by hand: what is offered, asked, told and kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.at_once import AtOnce, Calls, NotedShell
from workbench.domain.errors import BadInput, Conflict, StorageFailed
from workbench.domain.runs import ModelRef
from workbench.domain.serving import Serving
from workbench.gui.pages.model_card import breakable
from workbench.gui.pages.model_export import ExportPanel
from workbench.gui.pages.model_serve import ServePanel
from workbench.gui.pages.models import ModelsPage, fit_name, free_name, under
from workbench.gui.widgets.states import BusyState, ErrorState
from workbench.services.model_export import FORMS

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LEFT = Qt.MouseButton.LeftButton


def model(name: str, kind: Any = "sft", **facts: Any) -> ModelRef:
    given: dict[str, Any] = {"name": name, "path": f"/models/{name}", "kind": kind, "parameters": 260_000}
    return ModelRef(**(given | {"created": NOON} | facts))


BASE, SFT, JUDGE = (
    model("base", "base"),
    model("sft-1", parents=("base",), run="r1"),
    model("judge", "reward", parents=("sft-1",)),
)


class Server(Calls):
    """A server that fares as a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.how = Serving()
        self.key, self.record, self.log = "", "", Path("/space/server.log")

    def state(self) -> Serving:
        return self.how


@pytest.fixture
def services() -> SimpleNamespace:
    table = {one.name: one for one in (BASE, SFT, JUDGE)}
    models = Calls(
        list=lambda: list(table.values()), card=lambda name: [("Kind", table[name].kind if name in table else "")]
    )
    models.table = table
    return SimpleNamespace(models=models, exports=Calls(), serving=Server())


@pytest.fixture
def page(qtbot: QtBot, services: SimpleNamespace, bridge: AtOnce, shell: NotedShell) -> Iterator[ModelsPage]:
    made = ModelsPage(services, bridge, shell)  # type: ignore[arg-type]
    qtbot.addWidget(made)
    made.resize(964, 548)
    made.show()
    made.activateWindow()
    made.shown()
    made.serve._timer.stop()
    yield made
    made.closing()


def asked(services: SimpleNamespace, *names: str) -> list[tuple[Any, ...]]:
    return [call for call in services.models.made if call[0] in names]


# -- the page ----------------------------------------------------------------------------------------------------------


def test_that_models_that_cannot_be_read_are_an_error_and_no_endless_wait(
    page: ModelsPage, services: SimpleNamespace
) -> None:
    good = services.models.answers["list"]
    services.models.answers["list"] = StorageFailed("The database is locked.", "Close the other window.")
    page.shown()
    front = page.stack.currentWidget()
    assert isinstance(front, ErrorState)
    assert (front.what.text(), front.hint.text()) == ("The database is locked.", "Close the other window.")  # type: ignore[union-attr]
    services.models.answers["list"] = good
    front.findChild(QPushButton, "models.error.retry").click()
    assert page.stack.currentIndex() == 1
    assert isinstance(page.stack.widget(0), BusyState)


@pytest.mark.parametrize(("name", "writes"), [("base", True), ("sft-1", True), ("judge", False)])
def test_that_a_model_that_only_scores_is_never_asked_to_write(
    page: ModelsPage, shell: NotedShell, name: str, writes: bool
) -> None:
    page.list.choose(name)
    offered = {action.id for action in page.actions()}
    assert ("models.play" in offered, "models.serve" in offered) == (writes, writes)
    assert offered >= {"models.add", "models.train", "models.export", "models.remove"}
    assert (not page.card.play.isHidden(), not page.card.serve.isHidden()) == (writes, writes)
    page.tree.opened.emit(name)
    assert shell.gone == ([("playground", {"model": name})] if writes else [])


def test_that_the_newest_is_shown_first_and_a_wanted_one_instead(page: ModelsPage) -> None:
    assert page.list.key() == "judge"
    page.arrive(model="base")
    assert (page.list.key(), page.card.title.text(), page.tree.current) == ("base", "base", "base")


def test_that_a_model_wanted_before_it_is_known_is_chosen_when_it_comes(
    page: ModelsPage, services: SimpleNamespace
) -> None:
    page.arrive(model="new")
    services.models.table["new"] = model("new")
    page.shown()
    assert page.list.key() == "new"


def test_that_facts_that_come_late_belong_to_their_model(
    page: ModelsPage, services: SimpleNamespace, bridge: AtOnce
) -> None:
    bridge.holding = True
    page.list.choose("base")
    page.list.choose("sft-1")
    bridge.go_on()
    words = [label.text() for label in page.card.findChildren(QLabel)]
    assert "sft" in words
    assert asked(services, "card")[-2:] == [("card", "base"), ("card", "sft-1")]


# -- names -------------------------------------------------------------------------------------------------------------


def rename(page: ModelsPage, new: str) -> None:
    page.card.title.selectAll()
    QTest.keyClicks(page.card.title, new)
    QTest.keyClick(page.card.title, Qt.Key.Key_Return)


def test_that_a_new_name_is_asked_for_once_though_the_field_is_left_after_enter(
    page: ModelsPage, services: SimpleNamespace, bridge: AtOnce
) -> None:
    page.list.choose("sft-1")
    page.card.title.setFocus()
    bridge.holding = True
    rename(page, "better")
    page.list.setFocus()
    bridge.go_on()
    assert asked(services, "rename") == [("rename", "sft-1", "better")]


def test_that_a_name_that_is_refused_goes_back_and_says_why(
    page: ModelsPage, services: SimpleNamespace, shell: NotedShell
) -> None:
    services.models.answers["rename"] = Conflict("A run uses sft-1.", "Wait until it has ended.")
    page.list.choose("sft-1")
    rename(page, "better")
    assert page.card.title.text() == "sft-1"
    assert [(notice.what, notice.kind) for notice in shell.told] == [("A run uses sft-1.", "bad")]
    rename(page, "other")
    assert asked(services, "rename")[-1] == ("rename", "sft-1", "other"), "it can be tried again"


@pytest.mark.parametrize("words", ["", "   ", "sft-1", "  sft-1  "])
def test_that_no_name_and_the_same_name_ask_for_nothing(
    page: ModelsPage, services: SimpleNamespace, words: str
) -> None:
    page.list.choose("sft-1")
    page.card.title.setText(words)
    page.card.title.editingFinished.emit()
    assert asked(services, "rename") == []
    assert page.card.title.text() == "sft-1"


@pytest.mark.parametrize(
    ("folder", "name"),
    [("stories", "stories"), ("my model (v2)", "my-model-v2"), ("--x--", "x"), ("日本", "model"), ("", "model"), ("a" * 99, "a" * 80)],
)  # fmt: skip
def test_that_a_folders_name_becomes_a_models_name(folder: str, name: str) -> None:
    assert fit_name(folder) == name


def test_that_a_folder_is_added_under_a_free_name_and_shown(
    page: ModelsPage, services: SimpleNamespace, shell: NotedShell
) -> None:
    def add(folder: Path, name: str) -> ModelRef:
        services.models.table[name] = model(name, form="adapter", parameters=1_500_000)
        return services.models.table[name]  # type: ignore[no-any-return]

    services.models.answers["add_folder"] = add
    page.add_folder(Path("/elsewhere/base"))
    assert asked(services, "add_folder") == [("add_folder", Path("/elsewhere/base"), "base-2")]
    assert page.list.key() == "base-2"
    assert (shell.told[0].what, shell.told[0].hint) == ("base-2 is added", "adapter weights, 1.5 M parameters")
    assert free_name("base", {"base": BASE, "base-2": BASE}) == "base-3"


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (model("m"), "sft · 260 k"),
        (model("m", form="adapter", parameters=0), "sft, adapter · 0"),
        (model("m", "reward", parameters=7_240_000_000), "reward · 7.24 B"),
    ],
)
def test_that_kind_form_and_size_stand_below_a_name(one: ModelRef, words: str) -> None:
    assert under(one) == words


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("/short/path", 1),
        ("/home/ann/a-long/path.to/models", 9),
        ("LlamaForCausalLMWithHeads", 6),
        ("plain words here", 1),
    ],
)
def test_that_long_words_may_break_and_read_the_same(words: str, parts: int) -> None:
    told = breakable(words)
    assert told.replace("\u200b", "") == words
    assert (told.count("\u200b") > 0) == (parts > 1)


# -- removing ----------------------------------------------------------------------------------------------------------


def test_that_removing_asks_first_says_what_stays_and_shows_what_is_left(
    page: ModelsPage, services: SimpleNamespace, shell: NotedShell
) -> None:
    page.list.choose("judge")
    services.models.answers["remove"] = lambda name: services.models.table.pop(name)
    QTest.mouseClick(page.card.remove, LEFT)
    (question,) = shell.asked
    assert (question.title, question.verb) == ("Remove judge?", "Remove")
    assert "/models/judge" in question.text
    assert asked(services, "remove") == []
    shell.agree()
    assert asked(services, "remove") == [("remove", "judge")]
    assert page.list.key() == "sft-1"


def test_that_a_model_in_use_is_kept_and_the_window_says_why(
    page: ModelsPage, services: SimpleNamespace, shell: NotedShell, bridge: AtOnce
) -> None:
    services.models.answers["remove"] = Conflict("The run ppo-2 uses judge.", "Wait until it has ended.")
    page.list.choose("judge")
    QTest.mouseClick(page.card.remove, LEFT)
    shell.agree()
    assert [error.what for error in bridge.reported] == ["The run ppo-2 uses judge."]
    assert page.list.key() == "judge"


def test_that_the_last_model_leaves_the_empty_page(page: ModelsPage, services: SimpleNamespace) -> None:
    services.models.table.clear()
    page.shown()
    assert page.stack.currentWidget() is page.empty


def test_that_the_card_leads_on_and_copies(page: ModelsPage, shell: NotedShell) -> None:
    page.list.choose("sft-1")
    for button in (page.card.play, page.card.train, page.card.run, page.card.copy):
        QTest.mouseClick(button, LEFT)
    assert shell.gone == [("playground", {"model": "sft-1"}), ("train", {"base": "sft-1"}), ("runs", {"run": "r1"})]
    assert QGuiApplication.clipboard().text() == "/models/sft-1"
    page.list.choose("base")
    assert page.card.run.isHidden()


def test_that_the_layout_is_kept_when_the_page_is_left(page: ModelsPage, shell: NotedShell) -> None:
    page.serve._timer.start()
    page.hidden()
    assert "models.splitter" in shell.kept
    assert not page.serve._timer.isActive()


# -- export ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def export(qtbot: QtBot, services: SimpleNamespace, bridge: AtOnce, shell: NotedShell) -> ExportPanel:
    made = ExportPanel(services.exports, bridge, shell, lambda: None)  # type: ignore[arg-type]
    qtbot.addWidget(made)
    made.show_model("sft-1")
    return made


def form_of(panel: ExportPanel, form: str) -> None:
    panel.form.setCurrentIndex(panel.form.findData(form))


@pytest.mark.parametrize("form", [form for form, _ in FORMS])
def test_that_each_format_has_its_sentence_its_folder_and_its_precision(export: ExportPanel, form: str) -> None:
    form_of(export, form)
    assert export.sentence.text() == dict(FORMS)[form]
    assert export.place.text() == str(Path.home() / f"sft-1-{form}")
    assert export.precision.isHidden() == (form != "gguf")


def test_that_the_folder_that_was_chosen_stays_when_format_or_model_changes(export: ExportPanel) -> None:
    export._browse()
    dialog = export.findChild(QFileDialog, "models.export.dialog")
    dialog.fileSelected.emit("/data/out")
    dialog.close()
    first = export.form.currentData()
    assert export.place.text() == f"/data/out/sft-1-{first}"
    form_of(export, "gguf")
    assert export.place.text() == "/data/out/sft-1-gguf"
    export.show_model("judge")
    assert export.place.text() == "/data/out/judge-gguf"


def test_that_a_name_that_was_typed_stays(export: ExportPanel) -> None:
    export.place.setText("/data/my-own-name")
    form_of(export, "gguf")
    assert export.place.text() == "/data/my-own-name"
    export.place.clear()
    form_of(export, "onnx" if export.form.findData("onnx") >= 0 else FORMS[0][0])
    assert export.place.text().startswith(str(Path.home()))


def test_that_what_stands_in_the_form_is_what_is_written(
    export: ExportPanel, services: SimpleNamespace, shell: NotedShell
) -> None:
    services.exports.answers["export"] = lambda _name, out, _form, **_kw: out / "model.gguf"
    form_of(export, "gguf")
    export.licence.setText("apache-2.0")
    export.place.setText(" /data/x ")
    export.precision.setCurrentIndex(export.precision.findData("q8_0"))
    export.start.click()
    (call,) = services.exports.made
    assert call == ("export", "sft-1", Path("/data/x"), "gguf", {"licence": "apache-2.0", "precision": "q8_0"})
    assert (export.told.text(), export.told.property("role")) == ("Written: /data/x/model.gguf", "good")
    assert (shell.told[0].what, shell.told[0].kind) == ("sft-1 is exported", "good")
    assert export.start.isEnabled()


@pytest.mark.parametrize("wrong", [None, BadInput("The folder isn't empty.", "Choose another.")])
def test_that_the_end_of_an_export_is_told_of_its_own_model(
    export: ExportPanel, services: SimpleNamespace, shell: NotedShell, bridge: AtOnce, wrong: BadInput | None
) -> None:
    services.exports.answers["export"] = wrong or Path("/data/x")
    bridge.holding = True
    export.start.click()
    assert not export.start.isEnabled()
    assert export.told.text().startswith("Writing ")
    export.show_model("base")
    bridge.go_on()
    assert export.told.text() == "", "the panel is about another model by now"
    assert shell.told[0].what == (wrong.what if wrong else "sft-1 is exported")
    assert export.start.isEnabled()


def test_that_a_refused_export_says_why_in_its_place(export: ExportPanel, services: SimpleNamespace) -> None:
    services.exports.answers["export"] = BadInput("The folder isn't empty.", "Choose another.")
    export.start.click()
    assert (export.told.text(), export.told.property("role")) == ("The folder isn't empty. Choose another.", "bad")


# -- serving -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def server(services: SimpleNamespace) -> Server:
    return services.serving  # type: ignore[no-any-return]


@pytest.fixture
def serve(qtbot: QtBot, server: Server, bridge: AtOnce, shell: NotedShell) -> ServePanel:
    made = ServePanel(server, bridge, shell, lambda: None)  # type: ignore[arg-type]
    qtbot.addWidget(made)
    made.resize(300, 500)
    made.show()
    made.show_model("sft-1")
    return made


def shown(panel: QWidget) -> set[str]:
    return {b.objectName().rpartition(".")[2] for b in panel.findChildren(QPushButton) if b.isVisibleTo(panel)}


@pytest.mark.parametrize(
    ("state", "word", "buttons"),
    [
        ("stopped", "not running", {"start", "back"}),
        ("failed", "failed", {"start", "back"}),
        ("loading", "loading", {"stop", "back", "copy_address", "copy_key"}),
        ("ready", "listening", {"stop", "back", "copy_address", "copy_key"}),
        ("stopping", "ending", {"stop", "back", "copy_address", "copy_key"}),
    ],
)
def test_that_each_state_of_the_server_has_its_buttons(
    serve: ServePanel, server: Server, state: Any, word: str, buttons: set[str]
) -> None:
    server.how = Serving(state=state, models=("sft-1",))
    serve.look()
    assert serve.state.text() == word
    assert shown(serve) == buttons
    assert serve.stop.text() == ("Stop at once" if state == "stopping" else "Stop")


def test_that_a_refusal_stays_until_it_is_tried_again(serve: ServePanel, server: Server) -> None:
    server.answers["start"] = BadInput("Port 80 is taken.", "Choose another.")
    serve.start.click()
    for _ in range(3):
        serve.look()  # as the clock does, twice a second
    assert (serve.trouble.text(), serve.trouble.isVisible()) == ("Port 80 is taken. Choose another.", True)
    server.answers["start"] = None
    serve.start.click()
    assert not serve.trouble.isVisible()


def test_that_a_refusal_is_of_its_own_model(serve: ServePanel, server: Server) -> None:
    server.answers["start"] = BadInput("It can't be loaded.", "")
    serve.start.click()
    serve.show_model("sft-1")
    assert serve.trouble.isVisible()
    serve.show_model("base")
    assert not serve.trouble.isVisible()
    assert serve.title.text() == "Serve base"


def test_that_a_server_that_failed_says_what_and_what_to_do(serve: ServePanel, server: Server) -> None:
    server.how = Serving(state="failed", what="Out of memory.", hint="Serve one model.")
    serve.look()
    assert serve.trouble.text() == "Out of memory. Serve one model."
    server.how = Serving(state="loading", models=("sft-1",))
    serve.look()
    assert not serve.trouble.isVisible()


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((1, 1, 0, 1, 1), "1 live request, 1 text being written, 0 waiting. 1 request and 1 token since it began."),
        ((2, 0, 3, 1_200, 34_000), "2 live requests, 0 texts being written, 3 waiting. 1,200 requests and 34,000 tokens since it began."),
    ],
)  # fmt: skip
def test_that_the_servers_numbers_have_their_plurals(
    serve: ServePanel, server: Server, numbers: tuple[int, ...], words: str
) -> None:
    live, rows, waiting, requests, tokens = numbers
    server.how = Serving(
        state="ready", models=("sft-1",), address="http://127.0.0.1:8000/v1", live=live, rows=rows, waiting=waiting,
        requests=requests, tokens=tokens, speed=1_234.5,
    )  # fmt: skip
    serve.look()
    assert serve.counts.text() == words
    assert serve.speed.text() == "1,234 tokens/s"


def test_that_the_key_is_shown_in_part_and_copied_whole(serve: ServePanel, server: Server, shell: NotedShell) -> None:
    server.how = Serving(state="ready", models=("sft-1",), address="http://127.0.0.1:8000/v1")
    server.key = "sk-0123456789abcdefghij"
    serve.look()
    assert serve.key.text() == "sk-012…ghij"
    serve.findChild(QPushButton, "models.serve.copy_key").click()
    assert QGuiApplication.clipboard().text() == server.key
    assert all(server.key not in f"{notice.what} {notice.hint}" for notice in shell.told)
    serve.findChild(QPushButton, "models.serve.copy_address").click()
    assert QGuiApplication.clipboard().text() == "http://127.0.0.1:8000/v1"


def test_that_nothing_can_be_copied_before_there_is_an_address(serve: ServePanel, server: Server) -> None:
    server.how = Serving(state="loading", models=("sft-1",), loading="sft-1")
    serve.look()
    copies = [b for b in serve.findChildren(QPushButton) if ".copy_" in b.objectName()]
    assert len(copies) == 2
    assert not any(button.isEnabled() for button in copies)
    assert serve.sentence.text() == "Loading sft-1 …"


@pytest.mark.parametrize("keep", [False, True])
def test_that_prompts_are_kept_only_when_asked_and_it_is_said(serve: ServePanel, server: Server, keep: bool) -> None:
    serve.record.setChecked(keep)
    serve.port.setValue(8_080)
    serve.start.click()
    (_, models, settings) = next(call for call in server.made if call[0] == "start")
    assert models == ["sft-1"]
    assert settings.port == 8_080
    assert bool(settings.record) == keep
    server.record = "/space/asked.jsonl" if keep else ""
    server.how = Serving(state="ready", models=("sft-1",), address="x")
    serve.look()
    assert serve.recording.isVisible() == keep


@pytest.mark.parametrize(("state", "call"), [("ready", "ask_to_stop"), ("stopping", "stop")])
def test_that_the_second_stop_is_at_once(serve: ServePanel, server: Server, state: Any, call: str) -> None:
    server.how = Serving(state=state, models=("sft-1",))
    serve.look()
    serve.stop.click()
    assert [made[0] for made in server.made] == [call]
