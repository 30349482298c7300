"""The app that the agents build: its manifest, its journeys, its judge.

It runs apps in the box and knows nothing of pull requests. Start with `judge.py`.
"""
