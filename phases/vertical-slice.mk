##@ the game
.PHONY: vertical-slice
vertical-slice: $(CATHERD_BIN) $(VENV)/.plan $(VENV)/.poc  ## The next milestone, by the same machine
	$(call goal,vertical-slice)

$(GATES)/vertical-slice-bids.yaml:       | $(GATES)/mvp.yaml
$(GATES)/vertical-slice-assignment.yaml: | $(GATES)/vertical-slice-bids.yaml
$(GATES)/vertical-slice-build.yaml:      | $(GATES)/vertical-slice-assignment.yaml
$(GATES)/vertical-slice.yaml:            | $(GATES)/vertical-slice-build.yaml
