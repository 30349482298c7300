##@ the game
.PHONY: poc
poc: $(CATHERD_BIN) $(VENV)/.plan $(VENV)/.poc  ## Build the app in small tasks and prove that it works
	$(call goal,poc)

$(GATES)/poc-bids.yaml:       | $(GATES)/plan.yaml
$(GATES)/poc-assignment.yaml: | $(GATES)/poc-bids.yaml
$(GATES)/poc-build.yaml:      | $(GATES)/poc-assignment.yaml
$(GATES)/poc.yaml:            | $(GATES)/poc-build.yaml
