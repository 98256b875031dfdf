"""The command line: the library with clothes. A small module per verb in `verbs/`, a shell that turns errors into exit codes."""
