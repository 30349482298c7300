"""What things are, and every decision about them: messages, turns, tasks, the ledger.

Nothing here looks at a disk, a clock, the environment or the network; all of that is handed in.
Start with `turns.py`, which decides what an agent does next.
"""
