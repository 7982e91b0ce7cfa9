# Every target sets up what it needs in .venv, from a fresh clone.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := bash

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# Tiny networks lose up to 300x to idle OpenMP threads that spin.
export OMP_WAIT_POLICY ?= PASSIVE
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test test-all lint format docs bench clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

.venv/.base: pyproject.toml
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "autodl needs Python 3.11 or newer, this is " + sys.version'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -e .
	touch $@

.venv/.dev: .venv/.base
	$(BIN)/python -m pip install -q -e '.[dev]'
	touch $@

demo: .venv/.base  ## fit an image classifier on scikit-learn's digits; write demo/
	$(BIN)/python tutorials/demo.py

test: .venv/.dev  ## the tests, under 15 minutes on 2 cores
	$(BIN)/python -m pytest -m "not slow and not gpu" tests

test-all: .venv/.dev  ## the slow tests, too
	$(BIN)/python -m pytest tests

lint: .venv/.dev  ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.dev  ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/.dev  ## the documentation site, in site/
	$(BIN)/mkdocs build --strict

bench: .venv/.dev  ## the benchmarks; tables go to benchmarks/results/
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

clean:  ## remove what the other targets made, .venv too
	rm -rf .venv build dist site demo .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
