# Thin targets. pip is enough; nothing is installed again while what asks for it is unchanged.

PYTHON ?= python3
# Stamps carry a checksum of the files that say what is installed, so an edit there installs again.
GATEWAY := $(shell cksum < pyproject.toml | tr ' ' -)
EVERYTHING := $(shell cat pyproject.toml client/pyproject.toml | cksum | tr ' ' -)

.PHONY: run test lint bench faults docs clean

run: .venv/run-$(GATEWAY)  ## the gateway on http://localhost:8003, with a first generation
	.venv/bin/rhetor up

test: .venv/test-$(EVERYTHING)  ## everything there is to test, on this machine
	tests/setup
	tests/run

lint: .venv/lint-$(EVERYTHING)
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

bench: .venv/test-$(EVERYTHING)  ## ratios to a bare proxy and to nginx; gates nothing
	.venv/bin/python -m tests.bench

faults: .venv/test-$(EVERYTHING)  ## every fault at every door, with real clocks; WRITE=1 puts the table into the docs
	.venv/bin/python -m tests.faults $(if $(WRITE),--write)

docs: .venv/run-$(GATEWAY)  ## the pages that are written from the code
	.venv/bin/python docs/generate.py

clean:
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf js-client/node_modules js-client/dist tests/js/node_modules tests/bench/build
	find gateway client tests -name __pycache__ -prune -exec rm -rf {} +
	find gateway client -name '*.egg-info' -prune -exec rm -rf {} +

.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

.venv/run-$(GATEWAY): | .venv/bin/pip
	.venv/bin/pip install --quiet --editable .
	rm -f .venv/run-* && touch $@

.venv/test-$(EVERYTHING): | .venv/bin/pip
	.venv/bin/pip install --quiet --editable '.[test]' --editable client
	rm -f .venv/test-* && touch $@

.venv/lint-$(EVERYTHING): | .venv/bin/pip
	.venv/bin/pip install --quiet --editable '.[test,lint]' --editable client
	rm -f .venv/lint-* && touch $@
