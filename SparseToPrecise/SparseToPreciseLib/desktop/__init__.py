"""Qt pieces that the modules share. Importing the package loads nothing."""
