"""The tab "Synthesize": reads the nodes, has a child process make the CT, and shows it."""

import qt
from slicer.i18n import tr as _

from .SynthesisRun import SynthesisRun


class SynthesizeTab:
    """Makes one CT at a time; a section of `desktop.module_panel`.

    Parameters
    ----------
    ui
        The widgets of SynthesisModule.ui.
    parameters
        Gives the module's parameter node, or None while the panel is not shown or a scene closes.
    logic
        The module's; it gives the parameter node also when the panel is not shown.
    show
        Called with a new CT to show it in the views.
    """

    def __init__(self, ui, parameters, logic, show):
        from SparseToPreciseLib.desktop.model_selector import ModelSelector
        from SparseToPreciseLib.desktop.run_row import RunRow
        from SparseToPreciseLib.desktop.segment_field import SegmentField
        from SparseToPreciseLib.mrml.synthesis_nodes import SYNTHETIC
        from SparseToPreciseLib.synthesis.model import FAMILY

        self.ui, self._parameters, self._logic, self._show = ui, parameters, logic, show
        self._setupReady = self._bandsPossible = False
        self._bundles = []
        self._body = SegmentField(ui.bodySelector, parameters, "body", "bodyID")
        self.models = ModelSelector(FAMILY, on_changed=self._modelChanged)
        self.ensemble = qt.QListWidget(ui.ensembleFrame)
        self.ensemble.setMaximumHeight(80)
        self.ensemble.toolTip = _("Their answers are averaged; how much they differ becomes part of the uncertainty")
        self.ensemble.connect("itemChanged(QListWidgetItem*)", self._ticked)
        self.row = RunRow(_("Make the CT"), self.synthesize, self.cancel)
        self.run = SynthesisRun(self.row, self._made, self.follow)
        ui.modelFrame.layout().addWidget(self.models)
        ui.ensembleFrame.layout().addWidget(self.ensemble)
        ui.runFrame.layout().addWidget(self.row)
        ui.outputSelector.addAttribute("vtkMRMLScalarVolumeNode", SYNTHETIC, "1")

    def set_setup(self, ready):
        """Say whether everything that models need is installed."""
        self._setupReady = ready
        self.follow()

    def trained(self, name):
        """A new model is there: it is chosen."""
        self.refresh()
        self.models.set_model(name)

    def follow(self):
        """Follow the parameter node: what can run, and what the model can do."""
        self._body.follow()
        p = self._parameters()
        mr = p.mr if p else None
        missing = _("Choose an MR") if mr is None else ""
        missing = missing or ("" if self._setupReady else _("Install what is missing first"))
        missing = missing or ("" if self.models.model else _("There is no model; train one, or add one"))
        self.row.set_ready(not missing and not self.run.running, missing)
        self.ui.outputSelector.baseName = _("{name} CT").format(name=mr.GetName() if mr else "MR")
        chosen = self.chosenModels()
        able = {bundle.path.name for bundle in self._bundles if "high" in bundle.parameters.get("outputs", ())}
        self._bandsPossible = bool(chosen) and set(chosen) <= able
        self.ui.bandsCheckBox.enabled = self._bandsPossible
        others = self.ensemble.count > 0
        self.ui.ensembleFrame.visible = self.ui.ensembleLabel.visible = others

    def refresh(self):
        """Look again which models there are, and choose those of the parameter node."""
        from SparseToPreciseLib.core.bundles import find_bundles
        from SparseToPreciseLib.synthesis.model import FAMILY

        self._bundles = find_bundles(FAMILY)
        self.models.refresh()
        p = self._parameters()
        if p and p.model:
            self.models.set_model(p.model)
        self._fillEnsemble()
        self.follow()

    def chosenModels(self):
        """Names of the model and of those that are ticked beside it."""
        items = [self.ensemble.item(row) for row in range(self.ensemble.count)]
        ticked = [item.data(qt.Qt.UserRole) for item in items if item.checkState() == qt.Qt.Checked]
        return [self.models.model, *ticked] if self.models.model else []

    def synthesize(self):
        from SparseToPreciseLib.desktop import settings
        from SparseToPreciseLib.desktop.messages import sentence
        from SparseToPreciseLib.mrml.synthesis_nodes import read_inputs

        p, selector = self._parameters(), self.ui.bodySelector
        body = (selector.currentNode(), selector.currentSegmentID()) if selector.currentSegmentID() else None
        try:
            inputs = read_inputs(p.mr, body, p.output)
        except Exception as problem:
            self.row.fail(*sentence(problem))
            return
        bands = p.bands and self._bandsPossible  # the widget is disabled, too, while its group is collapsed
        options = {"uncertainty": p.uncertainty, "bands": bands, "classes": p.classes, "device": settings.device()}
        self.run.start(inputs, self.chosenModels(), **options)
        self.follow()

    def cancel(self):
        """Stop what runs; nothing is added to the scene."""
        self.run.cancel()

    def forget(self):
        """The scene closes."""
        self.cancel()
        if not self.run.running:
            self.row.finish()

    def _made(self, inputs, made):
        from SparseToPreciseLib.mrml.synthesis_nodes import companion, mr_of, show_synthetic

        ct = show_synthetic(inputs, made)
        shown = self._parameters()
        p = shown or self._logic.getParameterNode()  # the user may have gone to another module meanwhile
        p.ct = p.evaluated = ct
        if companion(ct, "uncertainty"):
            p.map, p.under = companion(ct, "uncertainty"), mr_of(ct)
        if shown:
            self._show(ct)
        models = _("{name} by {models}.").format(name=ct.GetName(), models=", ".join(made.models))
        return models

    def _fillEnsemble(self):
        p = self._parameters()
        wanted = set(p.ensemble) if p else set()
        blocked = self.ensemble.blockSignals(True)
        self.ensemble.clear()
        for bundle in self._bundles:
            if bundle.path.name == self.models.model:
                continue
            self.ensemble.addItem(bundle.label)
            item = self.ensemble.item(self.ensemble.count - 1)
            item.setData(qt.Qt.UserRole, bundle.path.name)
            item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable)
            item.setCheckState(qt.Qt.Checked if bundle.path.name in wanted else qt.Qt.Unchecked)
        self.ensemble.blockSignals(blocked)

    def _ticked(self, _item):
        if self._parameters():
            self._parameters().ensemble = self.chosenModels()[1:]
        self.follow()

    def _modelChanged(self, name):
        if self._parameters():
            self._parameters().model = name
        self._fillEnsemble()
        self.follow()
