# Several AI agents, one git repo. `make` lists what you can do.
SHELL         := /bin/sh
MAKEFLAGS     += --no-builtin-rules
.DEFAULT_GOAL := help
.SUFFIXES:

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

include catherd.mk

##@ the workshop
.PHONY: test check lint typecheck bench live-proof crash-proof merge-proof
test: $(VENV)/.dev          ## Run the tests
	@$(BIN)/python -m pytest -n auto --dist loadfile $(TEST)
check: lint typecheck test  ## Everything CI runs, and only that
lint: $(VENV)/.dev          ## ruff: style and faults
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
typecheck: $(VENV)/.dev     ## mypy --strict on src and tests
	@$(BIN)/mypy
bench: $(VENV)/.dev         ## Measure, as ratios within one run (bench/README.md)
	@$(BIN)/python bench/run.py $(BENCH)
live-proof: $(VENV)/.dev    ## A whole live game against loopback vendors, two ways; twenty debates killed at random
	@CATHERD_SWEEP=1 $(BIN)/python -m pytest -x tests/test_live_game.py tests/test_live_kill.py
crash-proof: $(VENV)/.dev   ## Kill every process at every effect up to the poc, start again, compare (about an hour)
	@$(BIN)/python tests/crash/proof.py
	@$(BIN)/python tests/crash/proof.py --goal plan --shares 16
	@$(BIN)/python tests/crash/proof.py --goal poc --shares 12
merge-proof: $(VENV)/.dev   ## 8 processes merge 104 PRs, conflicts and kills included
	@$(BIN)/python bench/merge_load.py --agents 8 --prs 13 --kill
