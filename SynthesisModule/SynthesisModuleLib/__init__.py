"""The panel of the module MR to CT. Importing the package loads nothing."""
