"""The panel of the module One-shot Landmarks. Importing the package loads nothing."""
