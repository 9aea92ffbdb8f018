# Everything a newcomer types. Needs make and Python 3.11 or newer; another interpreter: make PYTHON=python3.12 ...
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check install --quiet

# pytest comes last in `check`, also under make -j.
.NOTPARALLEL:
.PHONY: help quickstart test lint check docs torture bench clean

help:
	@echo "make quickstart  fetch a small set of film reviews, train a classifier on it, say how good it is"
	@echo "make test        run the tests"
	@echo "make lint        look at the style: ruff check, ruff format --check"
	@echo "make check       lint, mypy and the tests; what a change must pass"
	@echo "make docs        write anew what is made from the code: rnncli/config/schema.json, docs/config-keys.md"
	@echo "make torture     kill it, damage its files, fail its writes, fuzz it; some 20 minutes (TORTURE=--quick: one)"
	@echo "make bench       measure speed and memory beside PyTorch; some 30 minutes (BENCH=--quick: three)"
	@echo "make clean       remove the virtual environment and every cache (data and runs are kept)"

quickstart: $(VENV)/.installed
	$(BIN)/rnncli data get rotten-tomatoes
	$(BIN)/rnncli train configs/quickstart.yaml --overwrite
	$(BIN)/rnncli eval runs/quickstart/best.safetensors

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest

lint: $(VENV)/.installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check

check: lint
	$(BIN)/mypy
	$(BIN)/python -m pytest

docs: $(VENV)/.installed-test
	$(BIN)/python -m rnncli.config.schema
	$(BIN)/python tests/config_keys_table.py

torture: $(VENV)/.installed-fuzz
	$(BIN)/python tests/torture $(TORTURE)

bench: $(VENV)/.installed-bench
	$(BIN)/python -m benchmarks $(BENCH)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find rnncli tests benchmarks data -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: an environment is made once, and installed into again only when pyproject.toml has changed.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "rnncli needs Python 3.11 or newer, and '$(PYTHON)' is: $$($(PYTHON) --version 2>&1)." >&2; \
	    echo "Name a newer one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml
	$(PIP) --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.made pyproject.toml
	$(PIP) --editable '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-fuzz: $(VENV)/.installed-test
	$(PIP) --editable '.[test,fuzz]' || echo "atheris cannot be installed here: the fuzzing will be reported as not run"
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.made pyproject.toml
	$(PIP) --editable '.[bench]'
	@touch $@ $(VENV)/.installed
