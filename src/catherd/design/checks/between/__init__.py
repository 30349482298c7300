"""The rules between the files of a design document, by what they are about.

Each rule is a function of `Files` that yields what is wrong; across.py lists them all.
"""
