# One word each. The first use of any sets the environment up in .venv; a second sets nothing up again.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/ready
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export DVC_NO_ANALYTICS := 1

.PHONY: reproduce test lint bench peers setup

reproduce: $(READY)	## the study that params.yaml names (default: embedded)
	snakemake

test: $(READY)	## all tests
	python -m pytest

lint: $(READY)	## ruff, mypy, snakefmt, snakemake --lint
	ruff check . && ruff format --check src tests && mypy
	snakefmt --check Snakefile workflow
	snakemake --lint

bench: $(READY)	## speed beside the peers, in one run and one table; make bench BENCH="--sizes bert-base --rounds 5"
	python -m benchmarks $(BENCH)

peers: $(READY)	## our exports read by the libraries they are for, in an environment of their own
	python -m benchmarks.readers

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || { echo "redistil needs Python 3.11 to 3.13; say which: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	python -m pip install --quiet --requirement requirements.lock
	python -m pip install --quiet --no-deps --editable .
	touch $@
