"""The tab "Evaluate": a synthetic CT against a true one."""

import slicer
from slicer.i18n import tr as _

from SparseToPreciseLib.desktop.work_section import WorkSection

from .Views import showOver

_OPACITY = 0.8


class EvaluateTab(WorkSection):
    """Compares two CTs and shows table, error and histograms; a section of `desktop.module_panel`.

    Parameters
    ----------
    ui
        The widgets of SynthesisModule.ui.
    parameters
        Gives the module's parameter node, or None while the panel is not shown or a scene closes.
    logic
        The module's; it gives the parameter node also when the panel is not shown.
    """

    def __init__(self, ui, parameters, logic):
        from SparseToPreciseLib.desktop.run_row import RunRow
        from SparseToPreciseLib.desktop.segment_field import SegmentField

        self.ui, self._parameters, self._logic = ui, parameters, logic
        self._setupReady = False
        self._mask = SegmentField(ui.maskSelector, parameters, "mask", "maskID")
        self._followed = None  # the table whose limit the slider has
        self.row = RunRow(_("Compare"), self.evaluate, self.cancel)
        ui.evaluateFrame.layout().addWidget(self.row)
        ui.evaluationTableView.verticalHeader().visible = False
        ui.evaluationTableView.verticalHeader().setDefaultSectionSize(22)
        ui.evaluationTableView.horizontalHeader().setStretchLastSection(True)
        ui.showErrorButton.connect("clicked(bool)", self.showError)
        ui.showHistogramsButton.connect("clicked(bool)", self.showHistograms)
        ui.errorLimitSlider.connect("valueChanged(double)", self._limit)

    def set_setup(self, ready):
        """Say whether everything that is needed is installed."""
        self._setupReady = ready
        self.follow()

    def follow(self):
        """Follow the parameter node: what can run, and the last evaluation."""
        from SparseToPreciseLib.mrml.evaluation_nodes import chart_of, error_of

        self._mask.follow()
        p = self._parameters()
        missing = _("Choose a synthetic CT") if not (p and p.evaluated) else ""
        missing = missing or ("" if p.reference else _("Choose a reference CT"))
        missing = missing or ("" if self._setupReady else _("Install what is missing first"))
        missing = missing or (_("Something else is running") if self.job is not None else "")
        self.row.set_ready(not missing, missing)
        table = p.evaluation if p else None
        if self.ui.evaluationTableView.mrmlTableNode() != table:
            self.ui.evaluationTableView.setMRMLTableNode(table)
            self.ui.evaluationTableView.resizeColumnsToContents()
        self.ui.foundGroup.visible = table is not None
        self.ui.definitionsLabel.text = table.GetDescription() or "" if table else ""
        error = error_of(table)
        self.ui.showErrorButton.enabled = self.ui.errorLimitSlider.enabled = error is not None
        self.ui.showHistogramsButton.enabled = chart_of(table) is not None
        if table != self._followed and error is not None and error.GetDisplayNode() is not None:
            self._followed = table
            self.ui.errorLimitSlider.value = error.GetDisplayNode().GetWindowLevelMax()

    def evaluate(self):
        from SparseToPreciseLib.mrml.evaluation_nodes import evaluate_inputs, read_inputs

        p, selector = self._parameters(), self.ui.maskSelector
        mask = (selector.currentNode(), selector.currentSegmentID()) if selector.currentSegmentID() else None
        self.work(self.row, lambda: read_inputs(p.evaluated, p.reference, mask), evaluate_inputs, self._show)

    def forget(self):
        """The scene closes: what runs is stopped."""
        self.cancel()
        self._followed = None
        if self.job is None:
            self.row.finish()

    def showError(self, _checked=False):
        """The error over the reference."""
        from SparseToPreciseLib.mrml.evaluation_nodes import compared, error_of

        table = self._parameters().evaluation
        showOver(compared(table)[1], error_of(table), _OPACITY)

    def showHistograms(self, _checked=False):
        from SparseToPreciseLib.mrml.evaluation_nodes import chart_of

        if slicer.app.layoutManager() is not None:
            slicer.modules.plots.logic().ShowChartInLayout(chart_of(self._parameters().evaluation))

    def _show(self, inputs, found):
        from SparseToPreciseLib.mrml.evaluation_nodes import show_evaluation

        evaluation, shares = found
        table = show_evaluation(inputs, evaluation, shares)
        shown = self._parameters()
        (shown or self._logic.getParameterNode()).evaluation = table
        if shown:
            self.showError()
        found = _("MAE {:.0f} HU, bone Dice {:.2f}.").format(evaluation.mae, evaluation.bone_dice)
        return " ".join([found, *evaluation.notes])

    def _limit(self, limit):
        from SparseToPreciseLib.mrml.evaluation_nodes import error_of
        from SparseToPreciseLib.mrml.overlays import show_difference

        p = self._parameters()
        error = error_of(p.evaluation) if p else None
        if error is not None and limit > 0:
            show_difference(error, limit)
