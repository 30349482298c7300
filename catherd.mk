# The game: rules that any repo can include. Make orders, catherd decides: every target of the game is a receipt in
# bus/gates/, so mtimes mean nothing, and typing the same command again goes on where it stopped.
PYTHON  ?= python3
VENV    ?= .venv
BIN     ?= $(VENV)/bin
CATHERD_BIN := $(VENV)/.base
# A live game needs what speaks to the vendors; a rehearsal never does.
ifneq ($(filter-out 0 no false,$(LIVE)),)
CATHERD_BIN += $(VENV)/.live
endif
CATHERD_DO  := $(BIN)/catherd
# catherd's own checkout has locks/; a workspace has what `catherd init` recorded, or what CATHERD=<wheel or folder> names.
ifneq ($(wildcard src/catherd/cli/commands.py locks/base.txt),)
LOCKS   := locks
ORIGIN  :=
else
LOCKS   := .catherd/locks
ORIGIN  := .catherd/origin
endif
GATES   := bus/gates
# Words are handed over as typed, never through a shell.
export CATHERD_MSG   = $(value MSG)
ifneq ($(origin BRIEF),undefined)
export CATHERD_BRIEF = $(value BRIEF)
endif
export LIVE STEP PACE AGENTS NOTIFY TIMEBOX REHEARSAL_SEED TO N PORT ARGS SEEN
# A venv whose Python is gone (moved, upgraded away, half deleted) is built again.
ifeq ($(wildcard $(BIN)/python),)
$(shell rm -f $(VENV)/.base $(VENV)/.live $(VENV)/.plan $(VENV)/.poc $(VENV)/.dev)
endif
# One recipe for every goal: look first, then the gates, then say so. Under `make -n` it only looks.
DRY = $(if $(findstring n,$(firstword -$(MAKEFLAGS))),--dry)
# ^C clears the goal, whichever process it meets first; a kill -9 does not, and then a daemon takes up the work.
STOP = trap '$(CATHERD_DO) stop; exit 130' INT
define goal
@+$(STOP); $(CATHERD_DO) begin $(1) $(DRY)
@$(STOP); CATHERD_GOAL=$(1) $(MAKE) -s --no-print-directory $(GATES)/$(1).yaml
@! grep -qx $(1) bus/goal 2>/dev/null || $(CATHERD_DO) finish $(1)
endef

include $(patsubst %,phases/%.mk,debate plan poc mvp vertical-slice alpha beta release)

##@ the game
.PHONY: up down status costs chat say ballot run doctor go new
up: $(CATHERD_BIN)          ## Start one daemon per agents/*.yaml (no-op if they run)
	@$(CATHERD_DO) up
down: $(CATHERD_BIN)        ## Stop them; nothing is lost
	@$(CATHERD_DO) down
status: $(CATHERD_BIN)      ## One screen: what needs you, who does what, what the next gate waits for
	@$(CATHERD_DO) status
chat: $(CATHERD_BIN)        ## Follow the group chat
	@$(CATHERD_DO) chat
say: $(CATHERD_BIN)         ## Talk to them: make say MSG='@gemini why not offline?'
	@$(CATHERD_DO) say
ballot: $(CATHERD_BIN)      ## Put your own ballot there as a form to fill in
	@$(CATHERD_DO) ballot
run: $(CATHERD_BIN) $(VENV)/.poc  ## Start the proved app for you; your yes makes it delivered
	@$(CATHERD_DO) run
go: $(CATHERD_BIN)          ## Close the gate that STEP=1 holds
	@$(CATHERD_DO) go
.PHONY: prs pr approve changes audit check-docs design publish tidy
prs: $(CATHERD_BIN)         ## The pull requests, one a line
	@$(CATHERD_DO) prs
pr: $(CATHERD_BIN)          ## One of them: checks, reviews, diff: make pr N=3
	@$(CATHERD_DO) pr
approve: $(CATHERD_BIN)     ## Approve it over all objections: make approve N=3 MSG='…'
	@$(CATHERD_DO) approve
changes: $(CATHERD_BIN)     ## Ask for changes in it: make changes N=3 MSG='what and why'
	@$(CATHERD_DO) changes
audit: $(CATHERD_BIN)       ## Prove from git alone that every merge was reviewed and green
	@$(CATHERD_DO) audit
check-docs: $(CATHERD_BIN) $(VENV)/.plan  ## Check the design document in docs/
	@$(CATHERD_DO) check docs/
design: $(CATHERD_BIN) $(VENV)/.plan  ## The design document as one page: design.html
	@$(CATHERD_DO) design
publish: $(CATHERD_BIN)     ## Push the game to origin, after a look for secrets
	@$(CATHERD_DO) publish
tidy: $(CATHERD_BIN)        ## Remove merged branches and old games that git holds in full
	@$(CATHERD_DO) tidy
new: $(CATHERD_BIN)         ## Put this game away and begin another with the next make debate
	@$(CATHERD_DO) new
costs: $(CATHERD_BIN)       ## What a live game has cost, by agent, phase and kind of turn
	@$(CATHERD_DO) costs
doctor: $(CATHERD_BIN)      ## What this machine lacks; LIVE=1 tries each model and program with one tiny paid call
	@$(CATHERD_DO) doctor

# A receipt is made once and kept; a gate is closed by the one that holds the crank, who may close the next as well.
.PRECIOUS: $(GATES)/%.yaml
$(GATES)/%.yaml:
	@test -e $@ || $(CATHERD_DO) gate $*

.PHONY: help
help:                       ## Print this list
	@awk -F ':.*## ' '/^##@ /{group=substr($$0,5)} /^[a-z][a-z0-9 -]*:.*## /{split($$1,n," "); row=sprintf("  make %-14s %s", n[1], $$2); \
	  if (group=="the game") g=g row "\n"; else w=w row "\n"} END{printf "the game\n%s", g; if (w) printf "\nthe workshop\n%s", w}' \
	  $(filter phases/%,$(MAKEFILE_LIST)) $(filter-out phases/%,$(MAKEFILE_LIST))

# The environment: made when a lock file changes, mended when half built. Every package is held to its hash; the engine itself
# is this checkout's src/ where there is one, else the very wheel or folder that laid this workspace (.catherd/origin).
define python_ok
@command -v $(PYTHON) >/dev/null || { echo "catherd: $(PYTHON) is not there" >&2; \
  echo "  fix: sudo apt-get install python3 python3-venv, or make PYTHON=/path/to/python3.11" >&2; exit 1; }
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
  echo "catherd: Python 3.11 or newer is needed; $(PYTHON) is `$(PYTHON) -V 2>&1`" >&2; \
  echo "  fix: make PYTHON=python3.11 (or a newer one that you have)" >&2; exit 1; }
@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "catherd: this Python cannot make a venv: ensurepip is missing" >&2; \
  echo "  fix: sudo apt-get install python3-venv" >&2; exit 1; }
endef
# What a milestone needs beside Python is asked for before anything is installed (doctor.py looks again, closer).
PROVES := $(firstword $(filter poc mvp vertical-slice alpha beta release,$(MAKECMDGOALS)))
ifneq ($(PROVES),)
define equipped
@test -e $(GATES)/$(PROVES).yaml && exit 0; need=; found=; with=install; \
  test -n "$$CATHERD_BOX$(filter-out Linux,$(shell uname))" || grep -Eq '^ +sandbox: *(weak|none)' phases/$(PROVES).yaml || \
  command -v bwrap >/dev/null || need=" bubblewrap"; \
  for one in chromium chromium-browser google-chrome google-chrome-stable chrome; do command -v $$one >/dev/null && found=1; done; \
  test -n "$$found" || test -e bus/$(PROVES)/waiver.yaml || need="$$need chromium"; test -n "$$need" || exit 0; \
  for one in "apk add" "pacman -S --noconfirm" "dnf install -y" "apt-get install -y"; do command -v $${one%% *} >/dev/null && with=$$one; done; \
  test "`id -u`" = 0 || test "$$with" = install || with="sudo $$with"; \
  echo "catherd: make $(PROVES): building and proving $(PROVES) needs more on this machine: not installed:$$need" | sed 's/p c/p, c/' >&2; \
  echo "  fix: $$with$$need" >&2; exit 1
endef
endif
PIP = $(BIN)/python -m pip --disable-pip-version-check install -q --no-input
.PHONY: .venv
.venv: $(CATHERD_BIN)       ## Build just the environment
$(VENV)/.base: $(LOCKS)/base.txt $(ORIGIN) $(filter %.whl,$(if $(ORIGIN),$(shell cat $(ORIGIN) 2>/dev/null)))
	$(equipped)
	$(python_ok)
	@test -x $(BIN)/python || echo "making $(VENV)/ (once, about a minute)"
	@test -x $(BIN)/python && $(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(PIP) --require-hashes -r $(LOCKS)/base.txt
	@home=.; test -f src/catherd/cli/commands.py || home="`cat $(ORIGIN)`"; \
	if test -f "$$home/src/catherd/cli/commands.py"; then \
	  $(BIN)/python -c 'import os, sys, sysconfig; open(os.path.join(sysconfig.get_path("purelib"), "catherd-src.pth"), "w").write(os.path.abspath(sys.argv[1]) + "\n")' "$$home/src"; \
	  printf '%s\n' '#!/bin/sh' 'exec "$${0%/*}/python" -P -c "from catherd.cli import main; main(prog_name=\"catherd\")" "$$@"' > $(BIN)/catherd; \
	  chmod +x $(BIN)/catherd; $(BIN)/python -m compileall -q "$$home/src"; \
	else rm -f $(VENV)/lib/python*/site-packages/catherd-src.pth; $(PIP) --no-deps --force-reinstall "$$home"; fi
	@touch $@
ifneq ($(ORIGIN),)
ifeq ($(CATHERD),)
define lost
@echo "catherd: this clone does not know which catherd it is played with; git does not keep .catherd/" >&2; \
  echo "  fix: make CATHERD=/path/to/catherd.whl (or the folder of its source), once" >&2; exit 1
endef
$(ORIGIN):
	$(lost)
$(LOCKS)/%.txt:
	$(lost)
else
$(LOCKS)/%.txt: | $(ORIGIN) ;
$(ORIGIN): FORCE
	@test -e "$(CATHERD)" || { echo "catherd: $(CATHERD) is not there" >&2; echo "  fix: CATHERD=/path/to/catherd.whl, or the folder of its source" >&2; exit 1; }
	@new="`cd "$$(dirname "$(CATHERD)")" && pwd`/`basename "$(CATHERD)"`"; mkdir -p $(LOCKS); \
	if test "$$new" != "`cat $@ 2>/dev/null`" || test "$$new" -nt $@; then \
	  from=$$new; test -d "$$new" || { from=.catherd/wheel/catherd/workspace; $(PYTHON) -m zipfile -e "$$new" .catherd/wheel; }; \
	  cp "$$from"/locks/*.txt $(LOCKS)/ && rm -rf .catherd/wheel && echo "$$new" > $@; fi
FORCE:
endif
endif
# Extras, each on top of the base: what a live model, the plan's checks, the milestone gate and the workshop need.
$(VENV)/.live $(VENV)/.plan $(VENV)/.poc $(VENV)/.dev: $(VENV)/.%: $(LOCKS)/%.txt $(VENV)/.base
	$(equipped)
	@echo "adding what $* needs (once)"
	@$(PIP) --require-hashes -r $(LOCKS)/$*.txt
	@touch $@
