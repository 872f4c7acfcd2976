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
    onTrained
        Called with a family and the name of its new bundle.
    """

    def __init__(self, ui, parameters, onTrained):
        from SparseToPreciseLib.desktop.case_table import SEGMENTATIONS
        from SparseToPreciseLib.desktop.train_panel import TrainPanel
        from SparseToPreciseLib.mrml.box_training import extent_cases, mask_cases

        self.ui, self._parameters = ui, parameters
        self.panels = {}
        tabs = {"boxes-corrector": (ui.correctorTab, mask_cases), "boxes-segmenter": (ui.segmenterTab, extent_cases)}
        for family, (tab, find) in tabs.items():
            panel = TrainPanel(
                ["train", family],
                f"my-{family}",
                lambda name, family=family: onTrained(family, name),
                curves=_CURVES[family],
                read=self._read,
                kind=replace(SEGMENTATIONS, find=find),
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

    def _collapsed(self, collapsed):
        if not collapsed:
            self.refresh()
