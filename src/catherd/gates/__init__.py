"""Closing gates: wait until a gate is satisfied, judge it, post its receipt.

One call of `catherd gate NAME` is one make step. The agents' side of the same steps
is in `herd`. Start with `crank.py`: it has the table of what each kind of gate does,
and says how to add one.
"""
