"""One small adapter for each parser that the checks lean on.

A missing parser is no excuse: the caller gives the verdict `unknown`, which never
passes.
"""
