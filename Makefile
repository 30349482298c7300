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
.PHONY: test test-fast house check lint typecheck bench picture live-proof crash-proof merge-proof
test: $(VENV)/.dev          ## Run the tests
	@$(BIN)/python -m pytest -n auto --dist loadfile $(TEST)
test-fast: $(VENV)/.dev     ## Run the tests that need no herd, no browser and no vendor, in a minute
	@$(BIN)/python -m pytest -n auto --dist loadfile -m "not herd and not browser and not vendors and not slow" $(TEST)
check: lint typecheck test  ## Everything CI runs, and only that
lint: $(VENV)/.dev          ## Style, faults, and who may import whom
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && PYTHONPATH=src $(BIN)/lint-imports --no-logo --no-cache
house: $(VENV)/.dev         ## Measure the code: how long, how dense, how branched
	@$(BIN)/python tests/support/measure.py src/catherd
typecheck: $(VENV)/.dev     ## mypy --strict on src and tests
	@$(BIN)/mypy
bench: $(VENV)/.dev         ## Measure, as ratios within one run (bench/README.md)
	@$(BIN)/python bench/run.py $(BENCH)
picture: $(VENV)/.dev       ## Play a game and draw the README's picture of it (two minutes, offline)
	@$(BIN)/python docs/picture/make.py
live-proof: $(VENV)/.dev    ## A whole live game against loopback vendors, two ways; twenty debates killed at random
	@CATHERD_SWEEP=1 $(BIN)/python -m pytest -x tests/whole/test_live_game.py tests/whole/test_live_kill.py
crash-proof: $(VENV)/.dev   ## Kill every process at every effect up to the poc, start again, compare (about an hour)
	@$(BIN)/python tests/crash/proof.py
	@$(BIN)/python tests/crash/proof.py --goal plan --shares 16
	@$(BIN)/python tests/crash/proof.py --goal poc --shares 12
merge-proof: $(VENV)/.dev   ## 8 processes merge 104 PRs, conflicts and kills included
	@$(BIN)/python bench/merge_load.py --agents 8 --prs 13 --kill
