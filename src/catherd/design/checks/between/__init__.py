"""The rules between the files of a design document, by what they are about.

Each rule is a function of `Files` that yields what is wrong; `files.py` says what a rule is handed, and `design/checks/across.py` lists them all.
"""
