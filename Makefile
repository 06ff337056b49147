# One command for everything: people, pre-commit and CI use the same targets.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help install demo serve test test-fast test-slow check fix docs lock bench clean

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

install: $(STAMP)  ## Install everything from the lock file into .venv

$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed: set PYTHON=…"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked packages; this takes one to three minutes."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip check --disable-pip-version-check
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP)  ## Run the demonstration study, from delivery to report
	$(BIN)/causeway demo

serve: $(STAMP)  ## Start Prefect server, worker, deployments and report site
	$(BIN)/causeway serve

test: $(STAMP)  ## Run all tests but the slow ones
	$(PYTEST) -q -n 2 --dist loadgroup -m "not slow"

test-fast: $(STAMP)  ## Run what needs no server and no pipeline run
	$(PYTEST) -q -n 2 -m "not slow" tests/unit tests/sql tests/reference tests/architecture tests/docs

test-slow: $(STAMP)  ## Run kills, simulations and faults; takes long, prints a table
	$(PYTEST) -q -s -m slow

check: $(STAMP)  ## Format, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(STAMP)  ## Format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMP)  ## Write the generated documents
	$(BIN)/python -m flows.documents

bench: $(STAMP)  ## Measure speed and memory against baselines of the same run
	$(BIN)/python -m tests.bench

lock:  ## Renew requirements.lock from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --all-extras --upgrade pyproject.toml -o requirements.lock

clean:  ## Remove caches and the virtual environment; data/home stays
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
