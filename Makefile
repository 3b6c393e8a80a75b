# Everything a newcomer needs: `make demo` and `make test`. Each sets itself up first.
SHELL := /bin/sh
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help setup demo test test-slow lint types layers protos docs check bench clean lock

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(READY): requirements.lock pyproject.toml tools/setup.sh
	@sh tools/setup.sh

setup: $(READY) ## virtual environment with pinned, hash-checked dependencies

demo: $(READY) ## two venues, attestations, a verifier, a proof over both, an auditor, on this machine
	@$(BIN)/python -m riskproof.cli demo --out demo-output

test: $(READY) ## the tests (a few minutes)
	@$(BIN)/python -m pytest -n 2

test-slow: $(READY) ## long fuzzing, crash and soak tests
	@$(BIN)/python -m pytest -m slow

lint: $(READY) ## ruff, and buf for the protos
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@cd proto && ../$(BIN)/buf lint

types: $(READY) ## mypy, strict
	@$(BIN)/mypy

layers: $(READY) ## imports go down only
	@$(BIN)/lint-imports

protos: $(READY) ## generated code is what the protos say
	@$(BIN)/python -m tools.generate_protos --check

docs: $(READY) ## links, anchors and command names in README and docs/
	@$(BIN)/python -m tools.check_docs

check: lint types layers protos docs ## everything but the tests

bench: $(READY) ## every benchmark, one after the other
	@$(BIN)/python -m benchmarks

lock: $(READY) ## resolve the dependencies anew
	@sh tools/lock.sh

clean: ## remove what the targets made
	@rm -rf .venv build dist demo-output *.egg-info .pytest_cache .mypy_cache .ruff_cache benchmarks/node_modules
