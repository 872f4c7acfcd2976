"""The tab "Train": a model of one's own pairs of MR and CT."""

from slicer.i18n import tr as _


class TrainTab:
    """A training panel for pairs; a section of `desktop.module_panel`.

    Parameters
    ----------
    ui
        The widgets of SynthesisModule.ui.
    parameters
        Gives the module's parameter node, or None.
    onTrained
        Called with the name of a new bundle.
    """

    def __init__(self, ui, parameters, onTrained):
        from SparseToPreciseLib.desktop.case_table import CaseKind
        from SparseToPreciseLib.desktop.train_panel import TrainPanel
        from SparseToPreciseLib.mrml.training_pairs import pairs_of_scene, read_pair

        self.ui, self._parameters = ui, parameters
        pairs = CaseKind(
            pairs_of_scene,
            (_("MR"), _("CT")),
            _("Pairs of the scene"),
            _("Load an MR and its CT, and tick at least one pair"),
            _("Choose the CT of {name}, or untick it"),
            '{"training": [{"image": MR, "label": CT}]}',
        )
        self.panel = TrainPanel(
            ["train", "synthesis"],
            "my-synthesis",
            onTrained,
            curves={"mae_hu": _("validation MAE (HU)")},
            read=read_pair,
            kind=pairs,
            options=self._options,
            told=self._registered,
        )
        ui.trainFrame.layout().addWidget(self.panel)
        ui.tabs.connect("currentChanged(int)", self._tabChanged)

    def set_setup(self, ready):
        self.panel.set_setup(ready)

    def refresh(self):
        """Look again what can be trained on."""
        self.panel.refresh()

    def cancel(self):
        self.panel.cancel()

    def _options(self):
        p = self._parameters()
        return ["--register"] if p is None or p.registerPairs else []

    def _registered(self, result):
        """Which pairs could not be registered, so that they did not count."""
        from SparseToPreciseLib.core.errors import as_reason

        pairs = enumerate(result.get("registration", ()), 1)
        return " ".join(
            _("Pair {n} was left out: {why}.").format(n=n, why=as_reason(one["sentence"]))
            for n, one in pairs
            if not one["used"]
        )

    def _tabChanged(self, _index):
        if self.ui.tabs.currentWidget() == self.ui.trainTab:
            self.refresh()
