# Needs python3 (3.11 or newer, with venv). Brings uv into .uv/ when it is missing. Packages are compiled once, at
# installation: an import from source costs three times as much, and each command is a process.
# The system's Python goes first: distributions build it with profile-guided optimisation, and others take half as long again.
UV := $(shell command -v uv || echo .uv/bin/uv)
RUN := .venv/bin
PYTHON := $(firstword $(wildcard /usr/bin/python3.1[1-9]) >=3.11)
LOCK := --quiet --universal --generate-hashes --no-header --no-annotate --no-emit-index-url

.PHONY: run test check bench soak lock clean

run: .venv/.installed
	$(RUN)/chapar demo

test: .venv/.installed
	$(RUN)/pytest

check: .venv/.installed
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/lint-imports

bench: .venv/.installed
	$(RUN)/python -m benchmarks.ingest
	$(RUN)/python -m benchmarks.growth
	$(RUN)/python -m benchmarks.merge
	$(RUN)/python -m benchmarks.exports
	$(RUN)/python -m benchmarks.relay

soak: .venv/.installed
	CHAPAR_SOAK=1 $(RUN)/pytest -m soak -n 2

lock: $(UV)
	$(UV) pip compile $(LOCK) --group dev pyproject.toml -o .ci/requirements.lock
	$(UV) pip compile $(LOCK) pyproject.toml -o .ci/runtime.lock

.venv/.installed: pyproject.toml .ci/requirements.lock $(UV)
	$(UV) venv --quiet --allow-existing --python "$(PYTHON)" .venv
	$(UV) pip install --quiet --compile-bytecode --python .venv --require-hashes -r .ci/requirements.lock
	$(UV) pip install --quiet --python .venv --no-deps --no-build-isolation -e .
	$(RUN)/python -m compileall -q forms migrations server sync
	touch $@

.uv/bin/uv:
	python3 -m venv .uv
	.uv/bin/pip install --quiet uv

clean:
	rm -rf .venv .uv
