# What a newcomer calls. `make` alone lists it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
unexport PYTHONDONTWRITEBYTECODE # tests and commands start many processes, which read the bytecode
.PHONY: help setup demo cluster-demo test test-slow test-lowest test-highest docs lint bench lock clean

help:            ## list these targets
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

setup: $(READY)  ## environment in .venv, versions locked by hash, and the face detector's model
	@$(BIN)/dfray models fetch

$(READY): requirements-dev.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked packages into $(VENV) (several GB, some minutes, the first time) ..."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

demo: setup      ## the whole pipeline on generated clips: extract, train, evaluate, register, promote, score
	@$(BIN)/dfray run demo

cluster-demo: setup ## the same pipeline as on a cluster: two nodes, s3:// and MLflow on PostgreSQL, all on this machine
	@infra/demo.sh

test: setup      ## the tests
	@$(BIN)/pytest -m "not slow" -n 2 --dist loadfile --max-worker-restart 0

test-slow: setup ## the tests that take minutes each
	@$(BIN)/pytest -m slow

test-lowest:     ## some of the tests on the lowest versions that pyproject.toml allows (needs uv, 7 GB for the time)
	@tests/resolution.sh lowest-direct

test-highest:    ## the same on the highest
	@tests/resolution.sh highest

lint: $(READY)   ## format, lint, types and the direction of imports
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup     ## the benchmarks: ratios against named baselines, CPU time
	@$(BIN)/python -m tests.benchmarks

docs: $(READY)   ## the API reference from the docstrings, in build/docs; a warning is an error
	@PDOC_ALLOW_EXEC=1 $(BIN)/python $(PDOC_WARNS:%=-W error:::pdoc.%) \
		-W "ignore:Cannot determine where::pdoc.doc" \
		-W "ignore:Error parsing type annotation ForwardRef::pdoc.doc_types" -m pdoc \
		--docformat google --output-directory build/docs dfray
	@echo "build/docs/index.html"

# Modules of pdoc that warn; the imported libraries' own warnings are no errors of the reference. Two are let through:
# pdoc does not follow the keys that a TypedDict inherits, nor a NamedTuple's types that only TYPE_CHECKING imports.
PDOC_WARNS := doc doc_ast doc_types docstrings extract render_helpers

lock: $(READY)   ## lock the versions of pyproject.toml's ranges; those that fit stay (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		pyproject.toml --extra server --extra serve -o requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		pyproject.toml --all-extras -c requirements.txt -o requirements-dev.txt

clean:           ## remove the runs of the demo and what was built; the environment stays
	rm -rf runs build
