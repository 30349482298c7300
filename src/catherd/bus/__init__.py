"""The files that everybody shares: reading, posting, watching and reporting what is wrong with them.

Nothing here knows git, models or what a phase is about. Start with `store.py` (`Bus`), then `atomic.py`.
"""
