"""One make step: wait until a gate is satisfied, judge it, post its receipt.

The agents' side of the same steps is in `herd`. Start with `crank.py`.
"""
