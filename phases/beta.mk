##@ the game
.PHONY: beta
beta: $(CATHERD_BIN) $(VENV)/.plan $(VENV)/.poc  ## The next milestone, by the same machine
	$(call goal,beta)

$(GATES)/beta-bids.yaml:       | $(GATES)/alpha.yaml
$(GATES)/beta-assignment.yaml: | $(GATES)/beta-bids.yaml
$(GATES)/beta-build.yaml:      | $(GATES)/beta-assignment.yaml
$(GATES)/beta.yaml:            | $(GATES)/beta-build.yaml
