"""The panel of the module Boxes. Importing the package loads nothing."""
