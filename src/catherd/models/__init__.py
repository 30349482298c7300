"""The models: LiteLLM, command-line agents, what a call costs, what may still be spent.

Prompts are made elsewhere; a model takes a `Request` and gives a `Reply`. Start with
`accounts.py`, then `llm.py`.
"""
