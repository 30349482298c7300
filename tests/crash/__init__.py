"""What kills a game and looks at what is left of it."""
