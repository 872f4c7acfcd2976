"""From files to files: one task a command, which the command line, a bundle's configs and tests all run."""
