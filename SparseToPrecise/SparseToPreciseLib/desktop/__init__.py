"""Qt pieces that the modules share. Importing the package loads nothing."""

# Widgets of this package are Python classes on QWidget: give each a parent when it is made, or put it into a layout.
# One without a parent that Qt deletes first is deleted by PythonQt once more, which ends the application.
