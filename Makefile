# `make` alone lists the targets. Everything happens in .venv, which the first target that needs it sets up.
# Paths are relative, so that the folder itself may have spaces in its name.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
BIN := .venv/bin
# What a run compiles, the next one and every process that a test starts need not: half of what collecting costs.
unexport PYTHONDONTWRITEBYTECODE

# Which bench: `make bench ONLY=watch`. Which tests: `make tests TESTS=tests/agent`. More for the demo: `ARGS=…`.
ONLY ?=
TESTS ?= tests
# How many processes run them: nearly half of their time is waiting, so that two cores are busy with three; a file's
# tests share what they started and stay together.
WORKERS ?= 3
ARGS ?=

.PHONY: help setup demo test lint types layers tests bench bench-agents soak fmt docs manifests dashboards pictures clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

setup: ## Make .venv and install everything; done once, and again when dependencies or the compiled step change
	@scripts/set-up

demo: setup ## Run kubescribe against a pretend cluster; Ctrl-C ends it
	@exec $(BIN)/kubescribe up --simulate $(ARGS)

test: lint types layers tests ## Run every check

lint: setup ## Check style and formatting
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

types: setup ## Check types
	$(BIN)/python -m mypy

layers: setup ## Check who imports whom
	$(BIN)/lint-imports

tests: setup ## Run the tests (TESTS=path for some of them)
	@scripts/test-programs
	$(BIN)/python -m pytest -q -m 'not soak' -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

bench: setup ## Measure; one JSON line a name (ONLY=name for one)
	@$(BIN)/python -m benchmarks $(ONLY)

bench-agents: setup ## Measure 200 agents at 1,000 changes a second; three minutes
	@$(BIN)/python -m benchmarks.agents

soak: setup ## Run the long tests
	@$(BIN)/python -m pytest -q -m soak --timeout=3600 $(TESTS) || { code=$$?; \
	    [ $$code = 5 ] && echo 'there is no soak test' && exit 0; exit $$code; }

fmt: setup ## Format the code and mend what can be mended without thinking
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

docs: setup ## Write docs/configuration.md, docs/metrics.md and docs/alerts.md from the code
	$(BIN)/python -m kubescribe.cli.configpage docs/configuration.md
	$(BIN)/python -m kubescribe.cli.metricspage docs/metrics.md
	$(BIN)/python -m scripts.alertspage docs/alerts.md

manifests: setup ## Write manifests/ from the chart
	$(BIN)/python -m scripts.manifests manifests

dashboards: setup ## Write the Grafana dashboards into the chart, from dashboards/
	$(BIN)/python -m dashboards charts/kubescribe/files/dashboards

pictures: dashboards ## Draw docs/dashboards/ from the product on the pretend cluster; a quarter of an hour
	$(BIN)/python -m dashboards.pictures docs/dashboards

clean: ## Remove .venv and what the tools remember
	rm -rf .venv build kubescribe/gateway/_entries.*.so .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
