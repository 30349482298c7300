"""A whole game: beginning and ending a goal, status, talk, adopting and publishing.

Start with `lifecycle.py`.
"""
