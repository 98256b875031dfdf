"""The verbs of the command line: each module has a function `run` (its flags, its docstring as help) and `EXAMPLES`."""
