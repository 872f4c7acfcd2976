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
        self._style = None  # the colours that it has
        ui.showMapButton.connect("clicked(bool)", self.show)

    def follow(self):
        """Follow the parameter node: what can be shown, and the means of the chosen map."""
        p = self._parameters()
        chosen = bool(p and p.map and p.map.GetImageData())
        self.ui.showMapButton.enabled = chosen
        self.ui.meansLabel.text = self._means(p) if chosen else _(
            "Tick Uncertainty among the options of a synthesis to have a map made."
        )
        # Here and not in the widgets' signals, which come before the parameter node has their values.
        if chosen and p.map.GetID() == self._shown:
            self._colour(p)
            setOpacity(p.map, p.opacity)

    def show(self, _checked=False):
        """Show the map over the image."""
        p = self._parameters()
        self._shown, self._style = p.map.GetID(), None
        self._colour(p)
        showOver(p.under, p.map, p.opacity)

    def forget(self):
        """The scene closes."""
        self._shown, self._measured = "", None

    def _colour(self, p):
        from SparseToPreciseLib.mrml.overlays import show_uncertainty

        style = p.maximum, p.hiddenBelow, p.colors
        if style != self._style and p.maximum > 0:
            self._style = style
            show_uncertainty(p.map, *style)

    def _means(self, p):
        """Measured once for each state of map and CT."""
        from SparseToPreciseLib.core.errors import InputError
        from SparseToPreciseLib.mrml.overlays import means_by_class
        from SparseToPreciseLib.mrml.synthesis_nodes import ct_of_uncertainty

        ct = ct_of_uncertainty(p.map) or p.ct
        if ct is None or ct.GetImageData() is None:
            return ""
        state = [(node.GetID(), node.GetImageData().GetMTime()) for node in (p.map, ct)]
        if self._measured is None or self._measured[0] != state:
            try:
                means = means_by_class(p.map, ct)
            except InputError as problem:
                self._measured = state, str(problem)
                return str(problem)
            found = ", ".join(_("{:.0f} HU in {}").format(mean, name) for name, mean in means.items())
            self._measured = state, _("On average {found}.").format(found=found) if found else ""
        return self._measured[1]
