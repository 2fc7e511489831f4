# Every target needs nothing but `make setup`, and makes it run when it is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup run test check bench bench-trl bench-lmeval screenshots starter clean

setup: $(READY)

$(READY): pyproject.toml packaging/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv is missing: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c packaging/constraints.txt -e '.[dev]'
	@touch $(READY)

# On a screen: the window on the starter workspace. Without one: the tour, with its report on the terminal.
run: $(READY)
	@$(BIN)/python packaging/check_system.py --window
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ "$$(uname)" = Darwin ]; then \
	  $(BIN)/python -m workbench; \
	else \
	  $(BIN)/python -m workbench tour --no-window; \
	fi

# One thread for each of the two test processes: threads that wait for each other on shared cores cost ten times as much.
# Files go in their order, not those with most tests first: the long ones have few tests, and would begin last.
test: $(READY)
	@$(BIN)/python packaging/check_system.py
	OMP_NUM_THREADS=1 QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest -m "not bench" -n 2 --dist loadfile --no-loadscope-reorder

check: $(READY)
	$(BIN)/ruff format --check workbench tests resources packaging plugins
	$(BIN)/ruff check workbench tests resources packaging plugins
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/house

bench: $(READY)
	-@$(MAKE) --no-print-directory .venv-trl116/.ready .venv-trl112/.ready
	@$(BIN)/python packaging/check_system.py
	QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest -m bench -s tests/benchmarks

# Our recipes against TRL's trainers, as a table; TRL lives in environments of its own, with the torch that we have.
bench-trl: $(READY)
	-@$(MAKE) --no-print-directory .venv-trl116/.ready .venv-trl112/.ready
	$(BIN)/python -m tests.benchmarks.trl.table

# lm-evaluation-harness on the server and on the model itself; it lives in an environment of its own too.
bench-lmeval: $(READY) .venv-lmeval/.ready
	$(BIN)/python -m tests.benchmarks.harness.compare

.venv-lmeval/.ready: packaging/lmeval.txt packaging/constraints.txt
	@$(PYTHON) -m venv .venv-lmeval
	.venv-lmeval/bin/python -m pip install --quiet --disable-pip-version-check -c packaging/constraints.txt -r $< || { rm -rf .venv-lmeval; exit 1; }
	@touch $@

.venv-trl%/.ready: packaging/trl%.txt packaging/constraints.txt
	@$(PYTHON) -m venv .venv-trl$*
	.venv-trl$*/bin/python -m pip install --quiet --disable-pip-version-check -c packaging/constraints.txt -r $< || { rm -rf .venv-trl$*; exit 1; }
	@touch $@

screenshots: $(READY)
	QT_QPA_PLATFORM=offscreen $(BIN)/python packaging/screenshots.py screenshots
	QT_QPA_PLATFORM=offscreen $(BIN)/python packaging/screenshots.py screenshots --desk
	QT_QPA_PLATFORM=offscreen $(BIN)/python packaging/lab_pictures.py screenshots

starter: $(READY)
	$(BIN)/python resources/starter/make.py resources/starter

clean:
	rm -rf $(VENV) .venv-trl116 .venv-trl112 .venv-lmeval build dist screenshots
