"""Work on tasks: bids, allotment, building, reviews, pull requests and the merge queue.

The rules stand in `core/tasks.py`; here they meet the bus and git. Start with
`board.py`, then `merge_queue.py`.
"""
