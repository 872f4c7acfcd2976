"""Esc cancels while there is something to cancel; else it is the Segment Editor's, which leaves the effect with it."""

import contextlib

import qt
import slicer


class EscapeKey:
    """A shortcut of the main window that stands in for the Segment Editor's own.

    Two shortcuts with the same key are ambiguous to Qt, and then neither is heard: the other one is switched off.
    """

    def __init__(self, pressed):
        self._pressed, self._shortcut, self._others = pressed, None, []

    def take(self):
        """From now on Esc calls `pressed`."""
        window = slicer.util.mainWindow()
        if self._shortcut is not None or window is None:
            return
        # Segment Editor marks its shortcuts with the index of the effect that they switch to; none is 0.
        self._others = [
            child
            for child in window.children()
            if child.className() == "QShortcut" and child.property("effectIndex") == 0 and child.enabled
        ]
        for other in self._others:
            other.enabled = False
        self._shortcut = qt.QShortcut(qt.QKeySequence(qt.Qt.Key_Escape), window)
        self._shortcut.connect("activated()", self._pressed)

    def giveBack(self):
        """Esc leaves the effect again."""
        if self._shortcut is None:
            return
        self._shortcut.disconnect("activated()", self._pressed)
        self._shortcut.enabled = False
        self._shortcut.deleteLater()
        self._shortcut = None
        for other in self._others:
            with contextlib.suppress(ValueError):  # Segment Editor was left meanwhile and has deleted it
                other.enabled = True
        self._others = []
