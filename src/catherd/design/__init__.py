"""The design document: its checks, its drawings and the page made of it.

It knows no debate and no app. Start with `checks/__init__.py`.
"""
