"""`python -m catherd` is `catherd`."""

from catherd.cli import main

main()
