"""From an ask to a prompt, and from a model's text to a message.

No model is called here and nothing is decided about a debate or a task. Start with `journal.py` (`converse`).
"""
