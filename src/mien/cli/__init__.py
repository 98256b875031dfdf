"""The command line: the library with clothes. A small module per verb in `verbs/`; the shell is in `main`."""
