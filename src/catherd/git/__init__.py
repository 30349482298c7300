"""The one repository: commits, worktrees, landing, merging, and what must never get in.

Who may merge is decided in `core/tasks.py`; here it is carried out. Start with
`run.py`, then `landing.py`.
"""
