##@ the game
# The order of the plan; what each gate needs stands in plan.yaml.
.PHONY: plan bids assignment
plan: $(CATHERD_BIN) $(VENV)/.plan  ## Split the design work, write it, review it, merge a checked document
	$(call goal,plan)
bids assignment: $(CATHERD_BIN) $(VENV)/.plan
	$(call goal,$@)

$(GATES)/bids.yaml:       | $(GATES)/debate.yaml
$(GATES)/assignment.yaml: | $(GATES)/bids.yaml
$(GATES)/design.yaml:     | $(GATES)/assignment.yaml
$(GATES)/plan.yaml:       | $(GATES)/design.yaml
