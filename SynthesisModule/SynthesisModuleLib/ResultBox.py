"""The box "Result": what came out, and what of it is shown."""

import slicer
from slicer.i18n import tr as _

from .Views import setOpacity, showOver


class ResultBox:
    """Shows a synthetic CT over its MR, in a window of HU, with its warnings; a section of `desktop.module_panel`.

    Parameters
    ----------
    ui
        The widgets of SynthesisModule.ui.
    parameters
        Gives the module's parameter node, or None while a scene closes.
    """

    def __init__(self, ui, parameters):
        from SparseToPreciseLib.mrml.synthesis_nodes import SYNTHETIC, WINDOWS

        self.ui, self._parameters = ui, parameters
        self._titles = {
            "ct": _("CT"), "low": _("Low band"), "high": _("High band"), "high_probability": _("Share of detail"),
        }  # fmt: skip
        ui.resultSelector.addAttribute("vtkMRMLScalarVolumeNode", SYNTHETIC, "1")
        ui.windowComboBox.addItems(list(WINDOWS))
        ui.warningLabel.styleSheet = "color: #c05000"
        ui.resultSelector.connect("nodeActivated(vtkMRMLNode*)", self.show)
        ui.shownComboBox.connect("activated(int)", self._shownChosen)
        ui.windowComboBox.connect("activated(int)", self._windowChosen)
        ui.fadeSlider.connect("valueChanged(double)", self._fade)

    def follow(self):
        """Follow the parameter node: what the chosen CT came with."""
        from SparseToPreciseLib.mrml.synthesis_nodes import companion, is_synthetic, warnings_of

        p = self._parameters()
        ct = p.ct if p and is_synthetic(p.ct) else None
        there = [] if ct is None else [what for what in self._titles if what == "ct" or companion(ct, what)]
        combo = self.ui.shownComboBox
        if [combo.itemData(index) for index in range(combo.count)] != there:
            chosen = combo.currentData
            combo.clear()
            for what in there:
                combo.addItem(self._titles[what], what)
            combo.setCurrentIndex(max(combo.findData(chosen), 0) if there else -1)
        for widget in (combo, self.ui.windowComboBox, self.ui.fadeSlider):
            widget.enabled = ct is not None
        self.ui.warningLabel.text = "\n".join(warnings_of(ct))
        self.ui.warningLabel.visible = bool(self.ui.warningLabel.text)

    def show(self, ct):
        """Show a CT, or of it what is chosen, over its MR."""
        from SparseToPreciseLib.mrml.synthesis_nodes import is_synthetic, mr_of

        if is_synthetic(ct):
            showOver(mr_of(ct), self._shown(ct), self.ui.fadeSlider.value)

    def _shown(self, ct):
        from SparseToPreciseLib.mrml.synthesis_nodes import companion

        what = self.ui.shownComboBox.currentData
        return ct if what in (None, "ct") else companion(ct, what) or ct

    def _shownChosen(self, _index):
        self.show(self._parameters().ct)

    def _windowChosen(self, _index):
        from SparseToPreciseLib.mrml.synthesis_nodes import WINDOWS, set_window

        with slicer.util.tryWithErrorDisplay(_("Could not set the window.")):
            set_window(self._parameters().ct, *WINDOWS[self.ui.windowComboBox.currentText])

    def _fade(self, opacity):
        p = self._parameters()
        if p and p.ct:
            setOpacity(self._shown(p.ct), opacity)
