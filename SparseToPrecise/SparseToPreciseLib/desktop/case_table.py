"""The cases of the scene, to tick those that a model shall be trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import qt
import slicer
from slicer.i18n import tr as _


@dataclass(frozen=True)
class CaseKind:
    """A kind of case: a node, and the volume that goes with it.

    Attributes
    ----------
    find
        Gives the (node, volume or None) of the scene.
    headers
        Of the two columns.
    source, tick, choose
        What a panel calls them; asks for when none is ticked; asks for when {name} has no volume.
    datalist
        The form of a datalist of such cases.
    """

    find: Callable[[], list]
    headers: tuple[str, str]
    source: str
    tick: str
    choose: str
    datalist: str


def _segmentations() -> list:
    from ..mrml.training_cases import segmentations_of_scene

    return segmentations_of_scene()


SEGMENTATIONS = CaseKind(
    _segmentations,
    (_("Segmentation"), _("Image")),
    _("Segmentations of the scene"),
    _("Tick at least one segmentation"),
    _("Choose the image of {name}"),
    '{"training": [{"image": …, "label": …}]}',
)


class CaseTable(qt.QTableWidget):
    """A row for each case of a kind; refresh() it before it is shown.

    Parameters
    ----------
    on_changed
        Called when another case or volume was chosen.
    kind
        Segmentations with their images, or another.
    """

    def __init__(
        self, parent: qt.QWidget | None = None, on_changed=None, kind: CaseKind = SEGMENTATIONS
    ) -> None:
        super().__init__(parent)
        self._on_changed, self._kind = on_changed, kind
        self._rows: list = []
        self._unticked: set[str] = set()
        self.setColumnCount(2)
        self.setHorizontalHeaderLabels(list(kind.headers))
        self.horizontalHeader().setStretchLastSection(True)
        self.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        self.verticalHeader().visible = False
        self.setSelectionMode(qt.QAbstractItemView.NoSelection)
        self.setMaximumHeight(180)
        self.connect("itemChanged(QTableWidgetItem*)", self._ticked)

    def refresh(self) -> None:
        """Look again which cases there are; what was chosen stays."""
        chosen = {node.GetID(): images.currentNode() for node, images in self._rows if node.GetScene() is not None}
        blocked = self.blockSignals(True)
        self.setRowCount(0)
        self._rows = []
        only = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        for node, image in self._kind.find():
            item = qt.QTableWidgetItem(node.GetName())
            item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable)
            item.setCheckState(qt.Qt.Unchecked if node.GetID() in self._unticked else qt.Qt.Checked)
            images = slicer.qMRMLNodeComboBox()
            images.nodeTypes = ["vtkMRMLScalarVolumeNode"]
            images.noneEnabled, images.addEnabled, images.removeEnabled = True, False, False
            images.setMRMLScene(slicer.mrmlScene)
            images.setCurrentNode(chosen.get(node.GetID()) or image or (only[0] if len(only) == 1 else None))
            images.connect("currentNodeChanged(vtkMRMLNode*)", self._image_chosen)
            row = self.rowCount
            self.insertRow(row)
            self.setItem(row, 0, item)
            self.setCellWidget(row, 1, images)
            self._rows.append((node, images))
        self.blockSignals(blocked)

    def cases(self) -> list:
        """(node, volume node or None) of the rows that are ticked."""
        return [
            (node, images.currentNode())
            for row, (node, images) in enumerate(self._rows)
            if self.item(row, 0).checkState() == qt.Qt.Checked
        ]

    def set_ticked(self, row: int, ticked: bool) -> None:
        """Tick a row, or not."""
        self.item(row, 0).setCheckState(qt.Qt.Checked if ticked else qt.Qt.Unchecked)

    def _ticked(self, item) -> None:
        node = self._rows[item.row()][0]
        (self._unticked.discard if item.checkState() == qt.Qt.Checked else self._unticked.add)(node.GetID())
        self._tell()

    def _image_chosen(self, _node) -> None:
        self._tell()

    def _tell(self) -> None:
        if self._on_changed is not None:
            self._on_changed()
