"""The two ways in which work ends early."""

from __future__ import annotations


class InputError(ValueError):
    """Bad input, said in one sentence: what is wrong, with the value, and what to do about it.

    The command line prints the sentence and exits with 2; the desktop shows it.
    """


class Cancelled(Exception):
    """The user cancelled; nothing has been changed."""
