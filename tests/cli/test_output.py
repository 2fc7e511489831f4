"""What commands print, and where."""

import io
import json

from workbench.cli.output import Output


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_that_json_goes_to_stdout_alone() -> None:
    out, err = io.StringIO(), io.StringIO()
    output = Output(True, out, err)
    output.say("working")
    output.result({"a": 1, "b": "é"}, "text")
    assert json.loads(out.getvalue()) == {"a": 1, "b": "é"}
    assert err.getvalue() == "working\n"


def test_that_text_is_printed_without_json() -> None:
    out = io.StringIO()
    Output(False, out, io.StringIO()).result({"a": 1}, "done")
    assert out.getvalue() == "done\n"


def test_that_a_bar_is_drawn_on_a_terminal_only() -> None:
    plain, terminal = io.StringIO(), Terminal()
    Output(False, io.StringIO(), plain).progress(1, 2)
    Output(False, io.StringIO(), terminal).progress(1, 2, "rows")
    assert plain.getvalue() == ""
    assert "1/2 rows" in terminal.getvalue()


def test_that_a_message_clears_the_bar_first() -> None:
    terminal = Terminal()
    output = Output(False, io.StringIO(), terminal)
    output.progress(1, 2)
    output.say("done")
    assert terminal.getvalue().endswith("\r\x1b[2Kdone\n")


def test_that_a_failure_is_one_line_with_its_hint() -> None:
    err = io.StringIO()
    Output(False, io.StringIO(), err).fail("It\nbroke.", "Mend it.")
    assert err.getvalue() == "workbench: It broke. Mend it.\n"


def test_that_columns_of_a_table_are_aligned() -> None:
    table = Output(False).table(("a", "long"), [("xyz", 1), ("q", 22)])
    assert table.splitlines() == ["a    long", "xyz  1", "q    22"]
