"""Formats of others, and the interpreter that reads their pickles as data: files from strangers are parsed, never executed."""
