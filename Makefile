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
.PHONY: help environment demo test test-desktop lint bench-editing bench-landmarks train-editing bench-boxes train-boxes bench-synthesis train-synthesis samples pictures clean

help:
	@echo "make environment    create .venv (the other commands do it when needed)"
	@echo "make demo           edit an example case; results in demo-output/"
	@echo "make test           all tests that need no desktop application"
	@echo "make test-desktop   the tests of the application, in SLICER=/path/to/Slicer"
	@echo "make lint           style (ruff)"
	@echo "make bench-editing  write docs/benchmarks/editing.md anew"
	@echo "make bench-landmarks  write docs/benchmarks/landmarks.md anew"
	@echo "make train-editing  train the editing model by the committed recipe"
	@echo "make bench-boxes    write docs/benchmarks/boxes.md anew"
	@echo "make train-boxes    train the models of boxes by their committed recipes"
	@echo "make bench-synthesis  write docs/benchmarks/synthesis.md anew"
	@echo "make train-synthesis  train the synthesis model by the committed recipe"
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
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

test-desktop:
	@Testing/desktop/run_in_slicer.sh '$(SLICER)'

lint: $(READY)
	@$(BIN)/ruff check .

bench-editing: $(READY)
	@echo "== Running the editing benchmark; the tables go to docs/benchmarks/editing.md."
	@$(BIN)/python -m benchmarks.editing.train_rivals
	@$(BIN)/python -m benchmarks.editing

bench-landmarks: $(READY)
	@echo "== Running the landmark benchmark; the tables go to docs/benchmarks/landmarks.md."
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[bench]'
	@$(BIN)/python -m benchmarks.landmarks

train-editing: $(READY)
	@echo "== Training the editing model by its recipe; the bundle replaces SparseToPrecise/Resources/Models/editing."
	@echo "== The simulated cases stay in ~/.cache/sparse-to-precise for the next time."
	@$(BIN)/sparse-to-precise train editing --output SparseToPrecise/Resources/Models/editing

bench-boxes: $(READY)
	@echo "== Running the benchmark of loose boxes; the tables go to docs/benchmarks/boxes.md."
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[bench]'
	@$(BIN)/python -m benchmarks.boxes

train-boxes: $(READY)
	@echo "== Training the corrector by its recipe; it replaces SparseToPrecise/Resources/Models/boxes-corrector."
	@$(BIN)/sparse-to-precise train boxes-corrector --output SparseToPrecise/Resources/Models/boxes-corrector
	@echo "== Training the segmenter by its recipe; it replaces SparseToPrecise/Resources/Models/boxes-segmenter."
	@$(BIN)/sparse-to-precise train boxes-segmenter --output SparseToPrecise/Resources/Models/boxes-segmenter

bench-synthesis: $(READY)
	@echo "== Running the benchmark of synthesis; the tables go to docs/benchmarks/synthesis.md."
	@echo "== The trainings of its ablation take most of an hour; what is done stays in ~/.cache/sparse-to-precise."
	@$(BIN)/python -m benchmarks.synthesis

train-synthesis: $(READY)
	@echo "== Training the synthesis model by its recipe; it replaces SparseToPrecise/Resources/Models/synthesis."
	@$(BIN)/sparse-to-precise train synthesis --output SparseToPrecise/Resources/Models/synthesis

samples: $(READY)
	@$(BIN)/python Resources/make_samples.py
	@$(BIN)/python Resources/make_box_samples.py
	@$(BIN)/python Resources/make_head_sample.py
	@$(BIN)/python Resources/make_landmark_samples.py

pictures: $(READY)
	@$(BIN)/python docs/pictures/editing.py
	@$(BIN)/python docs/pictures/boxes.py
	@$(BIN)/python docs/pictures/landmarks.py
	@$(BIN)/python docs/pictures/synthesis.py
	@$(BIN)/python docs/pictures/architecture.py

clean:
	rm -rf $(VENV) demo-output training-output build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find SparseToPrecise Testing benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
