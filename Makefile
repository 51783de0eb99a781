# One word each. The first use of any sets the environment up in .venv; a second sets nothing up again.
PYTHON ?= python3
VENV ?= .venv
READY := $(VENV)/ready
export PATH := $(abspath $(VENV))/bin:$(PATH)
export DVC_NO_ANALYTICS := 1
# containers often set it; every job would then compile torch and all else anew, for it is installed as source
unexport PYTHONDONTWRITEBYTECODE
# Snakemake does not start where it cannot keep a cache; a home that may not be written keeps none
ifeq ($(XDG_CACHE_HOME)$(shell mkdir -p ~/.cache/snakemake 2>&- && test -w ~/.cache/snakemake && echo at home),)
export XDG_CACHE_HOME := $(CURDIR)/.snakemake/cache
endif

.PHONY: reproduce test cluster lint bench peers audit setup

reproduce: $(READY)	## the study that params.yaml names (default: embedded)
	snakemake

# two processes of one thread each; a file of tests, and the study that it builds, stay in one process
test: $(READY)	## all tests
	OMP_NUM_THREADS=1 python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

cluster: $(READY)	## the study on a SLURM that is started here (root, Debian); nothing else of it is in make test
	REDISTIL_CLUSTER=1 OMP_NUM_THREADS=1 python -m pytest tests/cluster

lint: $(READY)	## ruff, mypy, snakefmt, snakemake --lint
	ruff check . && ruff format --check src tests && mypy
	snakefmt --check Snakefile workflow
	snakemake --lint

bench: $(READY)	## speed beside the peers, in one run and one table; make bench BENCH="--sizes bert-base --rounds 5"
	python -m benchmarks $(BENCH)

peers: $(READY)	## our exports read by the libraries they are for, in an environment of their own
	python -m benchmarks.readers

# in an environment of its own; --strict: a package that nobody could be asked about is a failure too
audit: $(READY)	## the lock against known advisories; it asks the package index, so it needs the network
	@test -x $(VENV)/audit/bin/pip-audit || { python -m venv $(VENV)/audit && \
	  $(VENV)/audit/bin/python -m pip install --quiet pip-audit==2.10.1; }
	@$(VENV)/audit/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off --requirement requirements.lock \
	  || { echo "the lock has an advisory, or the index could not be asked: see above"; exit 1; }

setup: $(READY)

# Two pips side by side: torch with its libraries (pip adds the CUDA ones where it wants them), and the
# rest of the lock as it stands. Nothing is byte-compiled in advance: Python does that at the first import.
OF_TORCH := ^(torch|filelock|fsspec|jinja2|markupsafe|mpmath|networkx|sympy|typing[_-]extensions)==
INSTALL = python -m pip install --quiet --no-compile

# The tests run on 3.11. On 2026-11-30 set-up and tests ran on 3.12.1 and 3.13.0 too: 27 min 45 s and 23 min 47 s on two cores, beside
# other work. Three and two of 5,500 failed, for warnings of a library of the tests and the version of another build of torch. These
# were mended and ran again. On 3.14 immutables is built with a C compiler; nothing was tested there.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' \
	  || { echo "redistil needs Python 3.11 to 3.14; say which: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@echo "set-up 1/3: an environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@grep -iE '$(OF_TORCH)' requirements.lock > $(VENV)/torch.txt
	@grep -ivE '$(OF_TORCH)' requirements.lock > $(VENV)/others.txt
	@echo "set-up 2/3: $$(grep -c = requirements.lock) packages, 2.5 GB"
	@$(INSTALL) --requirement $(VENV)/torch.txt & torch=$$!; \
	  $(INSTALL) --no-deps --requirement $(VENV)/others.txt; others=$$?; \
	  wait $$torch && exit $$others
	@echo "set-up 3/3: redistil itself"
	@$(INSTALL) --no-deps --editable .
	@touch $@
