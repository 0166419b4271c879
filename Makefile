# `make` lists the targets. Every target that needs Python first makes .venv, once.
PROFILE ?= smoke
VENV    := .venv
BOOK    := build/book
PY      := $(VENV)/bin/python
PYTHON  ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

ifneq ($(strip $(DATA)),)
export IRNAS_DATA := $(DATA)
endif

.PHONY: help install reproduce test publish figures book bench lab lint lock

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-11s %s\n", $$1, $$2 }' Makefile
	@echo 'settings: PROFILE=smoke|laptop|gpu|paper  DATA=folder  JOBS=notebooks at once  LAUNCH=command for another machine  MINUTES=stop by then  DRY=1 (only say what would run)'

install: $(VENV)/installed ## install what is missing into .venv

# A file that stands for "installed as these two files say".
$(VENV)/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo 'Python 3.11 or later is needed and was not found' >&2; exit 1; }
	@$(PY) -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@echo 'installing into $(VENV), a few minutes the first time'
	@$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[notebooks,test,book]'
	@touch $@

reproduce: install ## run every notebook at PROFILE, into runs/PROFILE
	@$(PY) -m irnas_lib.pipeline.batch all $(PROFILE) $(if $(JOBS),--jobs $(JOBS)) $(if $(LAUNCH),--launch '$(LAUNCH)') $(if $(filter-out 0,$(DRY)),--dry-run) $(if $(MINUTES),--minutes $(MINUTES))

test: install ## run the tests, a file in each of at most four processes
	@$(PY) -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder --maxfail 5 $(TESTS)

publish: install ## promote the results and notebooks of PROFILE to checkpoints/ and notebooks/, then draw figures/
	@$(PY) -m irnas_lib.pipeline.batch publish $(PROFILE)
	@$(PY) -m irnas_lib.figures.all

figures: install ## make figures/ again from checkpoints/ alone
	@$(PY) -m irnas_lib.figures.all

book: install ## build the web book from the executed pages, into build/book
	@$(PY) -m sphinx -q -W --keep-going -b html -c book . $(BOOK) && echo '$(BOOK)/index.html'

bench: install ## measure speed and memory into checkpoints/bench.json
	@$(PY) -m irnas_lib.benchmarks.bench

lab: install ## open JupyterLab on notebooks/
	@$(PY) -m jupyter lab --notebook-dir notebooks

lint: install ## check the style
	@$(PY) -m ruff check .

lock: install ## write the versions of .venv to constraints.txt
	@head -2 constraints.txt > constraints.new
	@$(PY) -m pip list --format=freeze --exclude-editable | \
		grep -viE '^(pip|setuptools|wheel|triton|nvidia-.*|cuda-.*|bm3d|bm4d)==' >> constraints.new
	@mv constraints.new constraints.txt && touch $(VENV)/installed
