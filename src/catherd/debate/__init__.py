"""The debate: proposals, statements, ballots, the count, and the record of it.

It knows no design document and no app. Start with `asks.py`, then `tally.py`.
"""
