"""The sections "Tighten" and "Segment in the box": they read nodes, have the worker compute, and show what came out."""

import qt
import slicer
from slicer.i18n import tr as _

from SparseToPreciseLib.core.errors import in_digits
from SparseToPreciseLib.desktop.work_section import WorkSection

_STYLES = {True: "", False: "color: #c05000; font-weight: bold"}


class WorkPanel(WorkSection):
    """Tightens and segments, one at a time; a section of `desktop.module_panel`.

    Parameters
    ----------
    ui
        The widgets of BoxModule.ui.
    parameters
        Gives the module's parameter node, or None while a scene closes.
    """

    def __init__(self, ui, parameters):
        from SparseToPreciseLib.boxes.corrector.model import CORRECTOR_FAMILY
        from SparseToPreciseLib.boxes.segmenter.model import SEGMENTER_FAMILY
        from SparseToPreciseLib.desktop.model_selector import ModelSelector
        from SparseToPreciseLib.desktop.run_row import RunRow

        self.ui, self._parameters = ui, parameters
        self._setupReady = False
        self._tightened = {}  # ID of the ROI -> result whose box the ROI still is
        self._segment = None  # (segmentation, ID) of the last one
        self.correctors = ModelSelector(CORRECTOR_FAMILY, on_changed=self._correctorChanged)
        self.segmenters = ModelSelector(SEGMENTER_FAMILY, on_changed=self._segmenterChanged)
        self.tightenRow = RunRow(_("Tighten"), self.tighten, self.cancel)
        self.segmentRow = RunRow(_("Segment"), self.segment, self.cancel)
        ui.correctorFrame.layout().addWidget(self.correctors)
        ui.segmenterFrame.layout().addWidget(self.segmenters)
        ui.tightenFrame.layout().addWidget(self.tightenRow)
        ui.segmentFrame.layout().addWidget(self.segmentRow)
        ui.undoButton.connect("clicked(bool)", self.undo)
        ui.editButton.connect("clicked(bool)", self.edit)
        ui.cropButton.connect("clicked(bool)", self.crop)
        ui.sliceTableView.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        ui.sliceTableView.verticalHeader().visible = False
        ui.sliceTableView.connect("selectionChanged()", self.jump)
        self.follow()

    def set_setup(self, ready):
        """Say whether everything that models need is installed."""
        self._setupReady = ready
        self.follow()

    def trained(self, family, name):
        """A new model is there: it is chosen."""
        selector = self.correctors if family == "boxes-corrector" else self.segmenters
        selector.refresh()
        selector.set_model(name)

    def follow(self):
        """Follow the parameter node: what can run, and the table of the chosen box."""
        from SparseToPreciseLib.mrml.boxes_nodes import loose_roi

        p = self._parameters()
        image, roi = (p.image, p.roi) if p else (None, None)
        missing = _("Choose an image") if image is None else _("Choose or draw a box") if roi is None else ""
        missing = missing or ("" if self._setupReady else _("Install what is missing first"))
        for row, selector in ((self.tightenRow, self.correctors), (self.segmentRow, self.segmenters)):
            reason = missing or ("" if selector.model else _("There is no model; train one, or add one"))
            reason = reason or (_("Something else is running") if self.job is not None else "")
            row.set_ready(not reason, reason)
        idle = self.job is None
        self.ui.undoButton.enabled = idle and loose_roi(roi) is not None
        self.ui.cropButton.enabled = image is not None and roi is not None
        self.ui.editButton.enabled = idle and self._segmentIsThere()
        self._showTightened(roi)

    def refresh(self):
        """Look again which models there are, and choose those of the parameter node."""
        p = self._parameters()
        for selector, chosen in ((self.correctors, p and p.corrector), (self.segmenters, p and p.segmenter)):
            selector.refresh()
            if chosen:
                selector.set_model(chosen)

    def tighten(self):
        p = self._parameters()
        options = {"axis": p.axis, "margin_mm": p.margin, "coverage": float(p.coverage)}

        def show(inputs, result):
            from SparseToPreciseLib.mrml.boxes_nodes import show_tightened

            show_tightened(inputs, result)
            self._tightened[inputs.roi_id] = result

        from SparseToPreciseLib.mrml.boxes_nodes import tighten_inputs

        self._run(self.tightenRow, tighten_inputs, show, True, model=self.correctors.model, **options)

    def segment(self):
        p = self._parameters()
        slices = self._slices() if p.withinSlices else None

        def show(inputs, result):
            from SparseToPreciseLib.mrml.boxes_nodes import show_segmented

            self._segment = show_segmented(inputs, result)
            return " ".join([_("{} cm³.").format(in_digits(result.volume_mm3 / 1000, 1)), *result.notes])

        from SparseToPreciseLib.mrml.boxes_nodes import segment_inputs

        self._run(self.segmentRow, segment_inputs, show, False, model=self.segmenters.model, slices=slices)

    def undo(self, _checked=False):
        from SparseToPreciseLib.mrml.boxes_nodes import undo_tightening

        roi = self._parameters().roi
        with slicer.util.tryWithErrorDisplay(_("Could not undo the tightening.")):
            undo_tightening(roi)
        self._tightened.pop(roi.GetID(), None)
        self.follow()

    def forget(self):
        """The scene closes: what runs is stopped, what was found is no longer there."""
        self.cancel()
        self._tightened, self._segment = {}, None

    def jump(self):
        """Show the slice of the row that was clicked, in all slice views."""
        from SparseToPreciseLib.mrml.boxes_nodes import slice_centre

        chosen = self.ui.sliceTableView.selectionModel().selectedRows()
        if chosen:
            number = int(chosen[0].sibling(chosen[0].row(), 0).data())  # the rows may be sorted
            with slicer.util.tryWithErrorDisplay(_("Could not show the slice.")):
                centre = slice_centre(self._parameters().roi, number)
                slicer.modules.markups.logic().JumpSlicesToLocation(*centre, False)

    def edit(self, _checked=False):
        """Go on with the segment in the Segment Editor."""
        (node, segmentId), image = self._segment, self._parameters().image
        slicer.util.selectModule("SegmentEditor")  # which takes the parameter node away from this panel
        editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
        editor.setSegmentationNode(node)
        editor.setSourceVolumeNode(image)
        editor.setCurrentSegmentID(segmentId)

    def crop(self, _checked=False):
        """Go on with image and box in Crop Volume."""
        from SparseToPreciseLib.mrml.boxes_nodes import crop_parameters

        p = self._parameters()
        with slicer.util.tryWithErrorDisplay(_("Could not hand the box over.")):
            crop_parameters(p.image, p.roi)
            slicer.util.selectModule("CropVolume")

    def _showTightened(self, roi):
        """The verdict on the last tightening of a box, which stands out where it was kept, and the table."""
        from SparseToPreciseLib.mrml.box_table import slice_table, verdict

        said, label, view = verdict(roi), self.ui.verdictLabel, self.ui.sliceTableView
        texts = list(said.notes) if said else []
        if said and said.safe:
            texts.insert(0, _("Tightened from {} to {} cm³.").format(*said.volumes_cm3))
        elif said:
            texts.append(
                _(
                    "Check that it holds the whole object and no second one, adjust it by hand, or train a model on a "
                    "few masks of your own (Train on my cases)."
                )
            )
        label.text, label.styleSheet = " ".join(texts), _STYLES[said is None or said.safe]
        label.visible = bool(texts)
        if view.mrmlTableNode() != slice_table(roi):
            view.setMRMLTableNode(slice_table(roi))
        view.visible = slice_table(roi) is not None

    def _segmentIsThere(self):
        """Whether the last segment still is."""
        node, segmentId = self._segment or (None, "")
        there = node is not None and node.GetScene() is not None
        return there and node.GetSegmentation().GetSegment(segmentId) is not None

    def _slices(self):
        """The result of the last tightening, while the box is still what came out of it."""
        from SparseToPreciseLib.mrml.boxes_nodes import is_box

        roi = self._parameters().roi
        result = self._tightened.get(roi.GetID())
        return result if result is not None and result.safe and is_box(roi, result.box) else None

    def _run(self, row, function, show, toTighten, **options):
        from SparseToPreciseLib.desktop import settings
        from SparseToPreciseLib.mrml.boxes_nodes import read_inputs

        p, device = self._parameters(), settings.device()

        def compute(inputs, progress):
            return function(inputs, device=device, progress=progress, **options)

        self.work(row, lambda: read_inputs(p.image, p.roi, to_tighten=toTighten), compute, show)

    def _correctorChanged(self, name):
        if self._parameters():
            self._parameters().corrector = name
        self.follow()

    def _segmenterChanged(self, name):
        if self._parameters():
            self._parameters().segmenter = name
        self.follow()
