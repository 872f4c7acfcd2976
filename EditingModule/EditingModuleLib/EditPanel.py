"""Edits of the module EditingModule with markups: Apply, the batch, undo and redo, and the table of results."""

import slicer
from slicer.i18n import tr as _

from SparseToPreciseLib.desktop.work_section import WorkSection

from .EditorModel import modelAndDevice, modelSelector
from .ResultTable import ResultTable
from .StrokeInput import StrokeInput

NEW_SEGMENT, PROTECTED = "new segment", "are protected"


class EditPanel(WorkSection):
    """Corrects segments, and undoes it; a section of `desktop.module_panel`.

    Parameters
    ----------
    ui
        The widgets of EditingModule.ui.
    parameters
        Gives the module's parameter node, or None while a scene closes.
    """

    def __init__(self, ui, parameters):
        from SparseToPreciseLib.desktop.run_row import RunRow
        from SparseToPreciseLib.desktop.segment_field import SegmentField
        from SparseToPreciseLib.mrml.edit_histories import EditHistories
        from SparseToPreciseLib.mrml.segment_undo import SegmentUndo

        self.ui, self._parameters = ui, parameters
        self.histories, self.history = EditHistories(), SegmentUndo()
        self.segment = SegmentField(ui.segmentSelector, parameters, "segmentation", "segmentID")
        self.stroke = StrokeInput(ui, parameters, self.follow)
        self.models = modelSelector(self._modelChosen)
        self.runRow = RunRow(_("Apply"), self.applyStroke, self.cancel)
        ui.modelFrame.layout().addWidget(self.models)
        ui.runFrame.layout().addWidget(self.runRow)
        self.results = ResultTable(ui.resultTable)
        ui.batchButton.connect("clicked(bool)", self.applyAll)
        ui.undoButton.connect("clicked(bool)", self.undo)
        ui.redoButton.connect("clicked(bool)", self.redo)
        self.follow()

    def refresh(self):
        """Look again which models there are."""
        self.models.refresh()

    def leave(self):
        self.stroke.stopPlacing()

    def follow(self):
        """Follow the parameter node: what is chosen, and what can run."""
        p = self._parameters()
        self.segment.follow()
        self.stroke.follow(p.stroke if p else None)
        self.ui.radiusSlider.enabled = not (p and p.automaticRadius)
        if p and p.model != self.models.model:
            if p.model:
                self.models.set_model(p.model)
            else:
                p.model = self.models.model
        reason = self._lacking(p)
        self.runRow.set_ready(not reason and self.stroke.complete, reason or self.stroke.advice)
        curves = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsCurveNode")
        self.ui.batchButton.enabled = not reason and curves > 0
        self.ui.batchButton.toolTip = reason or _(
            "Applies every visible curve of the scene, in the scene's order; hide a curve to leave it out. "
            "A curve that cannot be applied is skipped, and the table says why."
        )
        node = p.segmentation if p else None
        self.ui.undoButton.enabled = self.job is None and self.history.can_undo(node)
        self.ui.redoButton.enabled = self.job is None and self.history.can_redo(node)

    def choose_defaults(self):
        """Where nothing is chosen, take the first of the scene: a segmentation, its first segment, and its image."""
        from SparseToPreciseLib.mrml.training_cases import images_of_scene, segmentations_of_scene

        p = self._parameters()
        images, cases = images_of_scene(), segmentations_of_scene()
        if p.segmentation is None and cases:
            p.segmentation = cases[0][0]
        if p.segmentation is not None and not p.segmentID:
            p.segmentID = next(iter(p.segmentation.GetSegmentation().GetSegmentIDs()), "")
        if p.image is None and images:
            own = dict(cases).get(p.segmentation)
            p.image = own if own in images else images[0]

    def applyStroke(self):
        self.run([self._parameters().stroke])

    def applyAll(self, _checked=False):
        from SparseToPreciseLib.mrml.markups import curves_of_scene

        self.run(curves_of_scene())

    def run(self, strokes):
        """Have the worker apply strokes to the chosen segment, and write what comes out."""
        from SparseToPreciseLib.mrml.other_segments import ALL
        from SparseToPreciseLib.mrml.stroke_editing import Options, apply, prepare
        from SparseToPreciseLib.mrml.stroke_targets import SceneSegment

        p = self._parameters()

        def read():
            model, device = modelAndDevice(self.models.model)
            options = Options(
                influence_radius_mm=None if p.automaticRadius else p.influenceRadius,
                keep_earlier_edits=p.keepEarlierEdits,
                new_segment=p.output == NEW_SEGMENT,
                protect=[ALL] if p.otherSegments == PROTECTED else [],
                model=model,
                device=device,
            )
            target = SceneSegment(p.image, p.segmentation, p.segmentID, self.history)
            return target, prepare(target, strokes, options, self.histories)

        def show(given, series):
            return self.results.show(apply(*given, series, self.histories))

        self.work(self.runRow, read, lambda given, progress: given[1].run(progress), show)

    def undo(self, _checked=False):
        self._restore(self.history.undo, _("Undone."))

    def redo(self, _checked=False):
        self._restore(self.history.redo, _("Done again."))

    def forget(self):
        """The scene closes: what runs is stopped, what was done is no longer there."""
        self.cancel()
        self.stroke.follow(None)
        self.history.clear()
        self.results.clear()
        if self.job is None:
            self.runRow.finish()

    def _restore(self, restore, said):
        from SparseToPreciseLib.core.errors import InputError

        try:
            restore(self._parameters().segmentation)
        except InputError as error:
            self.runRow.fail(str(error))
        else:
            self.runRow.finish(said)
        self.follow()

    def _lacking(self, p):
        """Choice that is missing before anything can run; empty when none is."""
        if p is None or p.image is None:
            return _("Choose the image")
        if p.segmentation is None or p.segmentation.GetSegmentation().GetSegment(p.segmentID) is None:
            return _("Choose the segmentation and its segment")
        return _("Wait until the last strokes are applied") if self.job is not None else ""

    def _modelChosen(self, name):
        p = self._parameters()
        if p is not None:
            p.model = name
