##@ the game
.PHONY: alpha
alpha: $(CATHERD_BIN) $(VENV)/.plan $(VENV)/.poc  ## The next milestone, by the same machine
	$(call goal,alpha)

$(GATES)/alpha-bids.yaml:       | $(GATES)/vertical-slice.yaml
$(GATES)/alpha-assignment.yaml: | $(GATES)/alpha-bids.yaml
$(GATES)/alpha-build.yaml:      | $(GATES)/alpha-assignment.yaml
$(GATES)/alpha.yaml:            | $(GATES)/alpha-build.yaml
