"""Foreign formats, and the interpreter that reads their pickles as data: files are parsed, never executed."""
