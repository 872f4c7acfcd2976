# Needs Python 3.10 to 3.13 (PYTHON names it), pip, git, make and gcc; everything else comes into .venv.
PYTHON ?= python3.11
SLICER ?= Slicer
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed-from-constraints
# Debian packs ensurepip apart from Python; pip itself can fill an environment too.
VENV_WITHOUT_ENSUREPIP := { $(PYTHON) -m venv --without-pip --clear $(VENV) && \
	$(PYTHON) -m pip --python $(BIN)/python install --disable-pip-version-check pip; }

.DEFAULT_GOAL := help
.PHONY: help environment demo test test-fast test-desktop lint train-boxes samples pictures clean

help:
	@echo "make environment    create .venv (the other commands do it when needed)"
	@echo "make demo           edit an example case; results in demo-output/"
	@echo "make test           all tests that need no desktop application"
	@echo "make test-fast      those of them that take no time, for the inner loop"
	@echo "make test-desktop   the tests of the application, in SLICER=/path/to/Slicer"
	@echo "make lint           style (ruff)"
	@echo "make bench-FAMILY   write docs/benchmarks/FAMILY.md anew: $(notdir $(patsubst %/,%,$(dir $(wildcard benchmarks/*/__main__.py))))"
	@echo "make train-FAMILY   train the shipped model of a family by its committed recipe"
	@echo "make samples        make the modules' sample data anew"
	@echo "make pictures       draw the pages' pictures and the samples' thumbnails anew"
	@echo "make clean          remove the environment and what the commands left"

# constraints.txt is what keeps the environment the tested one: without it pip would take another torch.
$(READY): pyproject.toml constraints.txt
	@echo "== Installing into $(VENV)/ from pyproject.toml and constraints.txt."
	@echo "== About 0.6 GB to download (PyTorch, VTK, slicer-core) and then 1-2 minutes; once, until these files change."
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || $(VENV_WITHOUT_ENSUREPIP)
	@$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[train,test]'
	@touch $@
	@echo "== The environment is ready."

environment: $(READY)
	@:

demo: $(READY)
	@echo "== Editing an example case; the results go to demo-output/."
	@$(BIN)/sparse-to-precise demo --output demo-output

test: $(READY)
	@echo "== Running the tests of the levels core and mrml; those of the desktop application are skipped here."
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal --durations 40 --durations-min 2

test-fast: $(READY)
	@echo "== Running the tests that take less than a third of a second each."
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal -m "not slow"

test-desktop:
	@Testing/desktop/run_in_slicer.sh '$(SLICER)'

lint: $(READY)
	@$(BIN)/ruff check .

# bench-editing, bench-boxes, ...: a page of docs/benchmarks, from benchmarks/<family> and with the rivals of [bench].
bench-%: $(READY)
	@echo "== Running the benchmark of $*; the tables go to docs/benchmarks/$*.md."
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[bench]'
	@test ! -f benchmarks/$*/train_rivals.py || $(BIN)/python -m benchmarks.$*.train_rivals
	@$(BIN)/python -m benchmarks.$*

# train-editing, train-synthesis, ...: a shipped model by its committed recipe.
train-%: $(READY)
	@echo "== Training $* by its recipe; it replaces SparseToPrecise/Resources/Models/$*."
	@$(BIN)/sparse-to-precise train $* --output SparseToPrecise/Resources/Models/$*

train-boxes: train-boxes-corrector train-boxes-segmenter

samples: $(READY)
	@for script in Resources/make_*.py; do $(BIN)/python $$script || exit; done

pictures: $(READY)
	@for script in $$(grep -l __main__ docs/pictures/*.py); do $(BIN)/python $$script || exit; done

clean:
	rm -rf $(VENV) demo-output training-output build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find SparseToPrecise Testing benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
