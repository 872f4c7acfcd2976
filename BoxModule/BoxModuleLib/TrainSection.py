"""The section "Train on my cases": one tab for each of the two models."""

from dataclasses import replace

import slicer
from slicer.i18n import tr as _

_CURVES = {
    "boxes-corrector": {"validation_loss": "validation loss", "patch_dice": "Dice of patches"},
    "boxes-segmenter": {"validation_loss": "validation loss", "box_iou": "IoU of slices' boxes"},
}


class TrainSection:
    """Two training panels, and what makes a case of a box.

    Parameters
    ----------
    ui
        The widgets of BoxModule.ui.
    parameters
        Gives the module's parameter node, or None.
    work
        The WorkPanel: it has the corrector for boxes that are tightened first, and is told of new models.
    """

    def __init__(self, ui, parameters, work):
        from SparseToPreciseLib.desktop.case_table import SEGMENTATIONS
        from SparseToPreciseLib.desktop.train_panel import TrainPanel
        from SparseToPreciseLib.mrml.box_training import extent_cases, mask_cases

        self.ui, self._parameters, self._work = ui, parameters, work
        self.panels = {}
        tabs = {"boxes-corrector": (ui.correctorTab, mask_cases), "boxes-segmenter": (ui.segmenterTab, extent_cases)}
        for family, (tab, find) in tabs.items():
            panel = TrainPanel(
                ["train", family],
                f"my-{family}",
                lambda name, family=family: work.trained(family, name),
                curves=_CURVES[family],
                read=self._read,
                kind=replace(SEGMENTATIONS, find=find),
                options=self._options if family == "boxes-segmenter" else list,
                told=self._kept,
            )
            tab.layout().addWidget(panel)
            self.panels[family] = panel
        ui.boxCaseButton.connect("clicked(bool)", self.makeBoxCase)
        ui.trainCollapsibleButton.connect("contentsCollapsed(bool)", self._collapsed)

    def follow(self):
        """Follow the parameter node: whether there is a box to make a case of."""
        p = self._parameters()
        self.ui.boxCaseButton.enabled = bool(p and p.image and p.roi)

    def set_setup(self, ready):
        for panel in self.panels.values():
            panel.set_setup(ready)

    def refresh(self):
        """Look again what can be trained on."""
        self.follow()
        for panel in self.panels.values():
            panel.refresh()

    def cancel(self):
        for panel in self.panels.values():
            panel.cancel()

    def makeBoxCase(self, _checked=False):
        """Add a segmentation with the chosen box as its segment."""
        from SparseToPreciseLib.mrml.box_training import box_as_segmentation

        p = self._parameters()
        with slicer.util.tryWithErrorDisplay(_("Could not make a case of the box.")):
            box_as_segmentation(p.image, p.roi)
        self.refresh()

    def _read(self, segmentation, image):
        from SparseToPreciseLib.mrml.box_training import read_box_case

        return read_box_case(segmentation, image, self.ui.trainSegmentEdit.text.strip())

    def _options(self):
        p, corrector = self._parameters(), self._work.correctors.model
        if p is None or not p.trainTightened:
            return []
        return ["--tighten-first", *(["--corrector", corrector] if corrector else [])]

    def _kept(self, result):
        """How many boxes could not be tightened, so that they were learnt from as they were."""
        made = result["training"].get("correction")
        if not made or not made["kept"]:
            return ""
        return _("Of {all} boxes {n} could not be tightened.").format(all=made["boxes"], n=made["kept"])

    def _collapsed(self, collapsed):
        if not collapsed:
            self.refresh()
