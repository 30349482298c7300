"""The app that the agents build: its manifest, its journeys, and the judgement that it works.

It runs apps in the box and knows nothing of pull requests. Start with `judge.py`.
"""
