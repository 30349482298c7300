"""The daemons: starting and stopping them, and what each does when it is its turn.

Decisions come from `core`; this room carries them out. Start with `daemon.py`.
"""
