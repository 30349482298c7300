# The game: rules that any repo can include. Make orders, catherd decides: every target of the game is a receipt in
# bus/gates/, so mtimes mean nothing, and typing the same command again goes on where it stopped.
PYTHON  ?= python3
VENV    ?= .venv
BIN     ?= $(VENV)/bin
CATHERD_BIN := $(BIN)/catherd
GATES   := bus/gates
# Words are handed over as typed, never through a shell.
export CATHERD_MSG   = $(value MSG)
export CATHERD_BRIEF = $(value BRIEF)
export LIVE STEP PACE AGENTS NOTIFY TIMEBOX REHEARSAL_SEED TO N
# One recipe for every goal: look first, then the gates, then say so. Under `make -n` it only looks.
DRY = $(if $(findstring n,$(firstword -$(MAKEFLAGS))),--dry)
define goal
@+$(CATHERD_BIN) begin $(1) $(DRY)
@$(MAKE) --no-print-directory $(GATES)/$(1).yaml
@$(CATHERD_BIN) finish $(1)
endef

include phases/debate.mk

##@ the game
.PHONY: up down status chat say ballot go new undo doctor
up: $(CATHERD_BIN)          ## Start one daemon per agents/*.yaml (no-op if they run)
	@$(CATHERD_BIN) up
down: $(CATHERD_BIN)        ## Stop them; nothing is lost
	@$(CATHERD_BIN) down
status: $(CATHERD_BIN)      ## One screen: what needs you, who does what, what the next gate waits for
	@$(CATHERD_BIN) status
chat: $(CATHERD_BIN)        ## Follow the group chat
	@$(CATHERD_BIN) chat
say: $(CATHERD_BIN)         ## Talk to them: make say MSG='@gemini why not offline?'
	@$(CATHERD_BIN) say
ballot: $(CATHERD_BIN)      ## Put your own ballot there as a form to fill in
	@$(CATHERD_BIN) ballot
go: $(CATHERD_BIN)          ## Close the gate that STEP=1 holds
	@$(CATHERD_BIN) go
new: $(CATHERD_BIN)         ## Put this game away and begin another with the next make debate
	@$(CATHERD_BIN) new

# A receipt is made once and kept; a gate is closed by the one that holds the crank.
.PRECIOUS: $(GATES)/%.yaml
$(GATES)/%.yaml:
	@$(CATHERD_BIN) gate $*

.PHONY: help
help:                       ## Print this list
	@awk -F ':.*## ' '/^##@ /{group=substr($$0,5)} /^[a-z][a-z0-9 -]*:.*## /{split($$1,n," "); row=sprintf("  make %-14s %s", n[1], $$2); \
	  if (group=="the game") g=g row "\n"; else w=w row "\n"} END{printf "the game\n%s\nthe workshop\n%s", g, w}' $(MAKEFILE_LIST)
