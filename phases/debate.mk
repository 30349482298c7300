##@ the game
# The order of the debate. What each gate needs stands in debate.yaml. A fifth round is one line here and one there.
ROUNDS := $(shell sed -n 's/^  \(round-[0-9]*\):.*/\1/p' phases/debate.yaml)
.PHONY: debate ballots decision $(ROUNDS)
debate: $(CATHERD_BIN)      ## Pitch ideas, argue four rounds, vote
	$(call goal,debate)
$(ROUNDS) ballots decision: $(CATHERD_BIN)
	$(call goal,$@)

$(GATES)/round-2.yaml:  | $(GATES)/round-1.yaml
$(GATES)/round-3.yaml:  | $(GATES)/round-2.yaml
$(GATES)/round-4.yaml:  | $(GATES)/round-3.yaml
$(GATES)/ballots.yaml:  | $(ROUNDS:%=$(GATES)/%.yaml)
$(GATES)/decision.yaml: | $(GATES)/ballots.yaml
$(GATES)/debate.yaml:   | $(GATES)/decision.yaml
