"""The sandbox: the only place where code that a model wrote runs.

It knows commands, trees and limits, never tasks or apps. Start with `sandbox.py`.
"""
