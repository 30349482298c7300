"""Lending Shelf: who has what, since when."""
