"""The tab "Uncertainty": a map of standard deviations over an image, and its means by tissue."""

from slicer.i18n import tr as _

from .Views import setOpacity, showOver


class UncertaintyTab:
    """Shows a map in colours; a section of `desktop.module_panel`.

    Parameters
    ----------
    ui
        The widgets of SynthesisModule.ui.
    parameters
        Gives the module's parameter node, or None while a scene closes.
    """

    def __init__(self, ui, parameters):
        self.ui, self._parameters = ui, parameters
        self._measured = None  # (what was measured, the sentence)
        self._shown = ""  # ID of the map that has the colours of this panel: no other volume's are touched
        for slider in (ui.maximumSlider, ui.hiddenSlider):
            slider.connect("valueChanged(double)", self._style)
        ui.colorsComboBox.connect("activated(int)", self._style)
        ui.opacitySlider.connect("valueChanged(double)", self._fade)
        ui.showMapButton.connect("clicked(bool)", self.show)

    def follow(self):
        """Follow the parameter node: what can be shown, and the means of the chosen map."""
        p = self._parameters()
        chosen = bool(p and p.map and p.map.GetImageData())
        self.ui.showMapButton.enabled = chosen
        self.ui.meansLabel.text = self._means(p) if chosen else _(
            "Tick Uncertainty among the options of a synthesis to have a map made."
        )

    def show(self, _checked=False):
        """Show the map over the image."""
        p = self._parameters()
        self._shown = p.map.GetID()
        self._style()
        showOver(p.under, p.map, p.opacity)

    def forget(self):
        """The scene closes."""
        self._shown, self._measured = "", None

    def _style(self, _value=None):
        from SparseToPreciseLib.mrml.overlays import show_uncertainty

        p = self._parameters()
        if p and p.map and p.map.GetID() == self._shown and p.maximum > 0:
            show_uncertainty(p.map, p.maximum, p.hiddenBelow, p.colors)

    def _fade(self, opacity):
        p = self._parameters()
        if p:
            setOpacity(p.map, opacity)

    def _means(self, p):
        """Measured once for each state of map and CT."""
        from SparseToPreciseLib.mrml.overlays import means_by_class
        from SparseToPreciseLib.mrml.synthesis_nodes import ct_of_uncertainty

        ct = ct_of_uncertainty(p.map) or p.ct
        if ct is None or ct.GetImageData() is None:
            return ""
        state = [(node.GetID(), node.GetImageData().GetMTime()) for node in (p.map, ct)]
        if self._measured is None or self._measured[0] != state:
            means = means_by_class(p.map, ct)
            found = ", ".join(_("{:.0f} HU in {}").format(mean, name) for name, mean in means.items())
            self._measured = state, _("On average {found}.").format(found=found) if found else ""
        return self._measured[1]
