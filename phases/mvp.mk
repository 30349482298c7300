##@ the game
.PHONY: mvp
mvp: $(CATHERD_BIN) $(VENV)/.plan $(VENV)/.poc  ## The next milestone, by the same machine
	$(call goal,mvp)

$(GATES)/mvp-bids.yaml:       | $(GATES)/poc.yaml
$(GATES)/mvp-assignment.yaml: | $(GATES)/mvp-bids.yaml
$(GATES)/mvp-build.yaml:      | $(GATES)/mvp-assignment.yaml
$(GATES)/mvp.yaml:            | $(GATES)/mvp-build.yaml
