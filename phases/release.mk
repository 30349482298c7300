##@ the game
.PHONY: release
release: $(CATHERD_BIN) $(VENV)/.plan $(VENV)/.poc  ## The next milestone, by the same machine
	$(call goal,release)

$(GATES)/release-bids.yaml:       | $(GATES)/beta.yaml
$(GATES)/release-assignment.yaml: | $(GATES)/release-bids.yaml
$(GATES)/release-build.yaml:      | $(GATES)/release-assignment.yaml
$(GATES)/release.yaml:            | $(GATES)/release-build.yaml
