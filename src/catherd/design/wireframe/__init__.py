"""Screens described in YAML, laid out and drawn as SVG and Excalidraw.

The same text always gives the same bytes. Start with `screens.py`.
"""
