"""Halfpast: a time log in a plain text file."""
