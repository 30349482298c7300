"""Who answers: LiteLLM, a command-line agent, what a call costs and who may still spend.

Prompts are made elsewhere; a model takes a `Request` and gives a `Reply`. Start with `accounts.py`, then `llm.py`.
"""
