"""The command line `sparse-to-precise`; everything heavy is imported by the command that needs it."""
