"""The options of the effect "Scribble edit", and what it says about its work."""

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from .EditorModel import modelSelector

RADIUS_RANGE_MM = (0.5, 100.0)


class ScribblePanel:
    """Widgets in the effect's options frame.

    Parameters
    ----------
    scriptedEffect
        Gets the widgets.
    owner
        The effect; its on... methods are called when the user does something.
    """

    def __init__(self, scriptedEffect, owner):
        from SparseToPreciseLib.desktop.setup_row import SetupRow

        self._numbers = []
        self._owner = owner
        meaning = qt.QLabel(_("Draw where the boundary should be. Only what lies within the band can change."))
        meaning.wordWrap = True
        scriptedEffect.addOptionsWidget(meaning)
        self.setupRow = SetupRow(on_ready=owner.onModelsChanged)
        scriptedEffect.addOptionsWidget(self.setupRow)

        self.radius = slicer.qMRMLSliderWidget()
        self.radius.setMRMLScene(slicer.mrmlScene)
        self.radius.quantity = "length"
        # Only the unit is the application's: its precision is four decimals, its range that of any length.
        self.radius.unitAwareProperties = slicer.qMRMLSliderWidget.Prefix | slicer.qMRMLSliderWidget.Suffix
        self.radius.decimals = 1
        self.radius.minimum, self.radius.maximum = RADIUS_RANGE_MM
        self.radius.singleStep = 0.5
        self.radius.setToolTip(
            _("Nothing changes that is farther from the stroke. Shift + mouse wheel changes it too.")
        )
        scriptedEffect.addLabeledOptionsWidget(_("Influence radius:"), self.radius)
        self.keepEarlier = qt.QCheckBox(_("Keep earlier edits"))
        self.keepEarlier.setToolTip(
            _("A new stroke leaves alone what lies nearer to an earlier stroke than to itself.")
        )
        self.previewFirst = qt.QCheckBox(_("Preview before applying"))
        self.previewFirst.setToolTip(_("Shows the new outline first; it is applied with the button or with Enter."))
        scriptedEffect.addOptionsWidget(self.keepEarlier)
        scriptedEffect.addOptionsWidget(self.previewFirst)
        self.models = modelSelector(lambda name: owner.onModelChanged())
        scriptedEffect.addLabeledOptionsWidget(_("Model:"), self.models)
        self._addDecision(scriptedEffect)
        self._addProgress(scriptedEffect)
        self._addEdits(scriptedEffect)

        self.radius.connect("valueChanged(double)", owner.updateMRMLFromGUI)
        self.keepEarlier.connect("toggled(bool)", owner.updateMRMLFromGUI)
        self.previewFirst.connect("toggled(bool)", owner.updateMRMLFromGUI)

    def setOptions(self, radiusMm, keepEarlier, previewFirst, model):
        """Show options without telling the effect."""
        widgets = (self.radius, self.keepEarlier, self.previewFirst)
        blocked = [widget.blockSignals(True) for widget in widgets]
        self.radius.value = radiusMm
        self.keepEarlier.checked, self.previewFirst.checked = keepEarlier, previewFirst
        for widget, was in zip(widgets, blocked, strict=True):
            widget.blockSignals(was)
        if self.models.model != model:
            self.models.set_model(model)

    def showWork(self, message, busy, fraction, waiting, deciding):
        """Show what the session does."""
        if waiting:
            message += " " + (_("1 stroke waits.") if waiting == 1 else _("{n} strokes wait.").format(n=waiting))
        self.message.text = message
        self._working.visible = busy
        self.progress.value = round(100 * fraction)
        self._decision.visible = deciding

    def showEdits(self, edits):
        """List the edits that the segment shows; edits: of `editing.edit_history.PastEdit`, oldest first."""
        from SparseToPreciseLib.mrml.stroke_session import volume_text

        numbers = [edit.number for edit in edits]
        if numbers == self._numbers:
            return
        self._numbers = numbers
        blocked = self.edits.blockSignals(True)
        self.edits.clear()
        for edit in edits:
            self.edits.addItem(
                _("Edit {n}: {volume} within {radius:.3g} mm").format(
                    n=edit.number, volume=volume_text(edit.changed_mm3), radius=edit.influence_radius_mm
                )
            )
        self.edits.setCurrentRow(-1)
        self.edits.blockSignals(blocked)
        self._onRow(-1)

    def chosenEdit(self):
        """Number of the edit that is chosen in the list; 0 for none."""
        row = self.edits.currentRow
        return self._numbers[row] if 0 <= row < len(self._numbers) else 0

    def _addDecision(self, scriptedEffect):
        self._decision = qt.QWidget()
        row = qt.QHBoxLayout(self._decision)
        row.setContentsMargins(0, 0, 0, 0)
        self.cancelButton, self.applyButton = qt.QPushButton(_("Cancel")), qt.QPushButton(_("Apply"))
        self.cancelButton.setToolTip(_("Leave the segment as it is (Esc)."))
        self.applyButton.setToolTip(_("Change the segment as previewed (Enter in a slice view)."))
        self.applyButton.objectName = "ScribbleEditApply"
        self.cancelButton.objectName = "ScribbleEditCancel"
        for button, slot in ((self.cancelButton, self._owner.onReject), (self.applyButton, self._owner.onAccept)):
            row.addWidget(button)
            button.connect("clicked()", slot)
        self._decision.visible = False
        scriptedEffect.addOptionsWidget(self._decision)

    def _addProgress(self, scriptedEffect):
        self.message = qt.QLabel()
        self.message.wordWrap = True
        self.message.objectName = "ScribbleEditMessage"
        scriptedEffect.addOptionsWidget(self.message)
        self._working = qt.QWidget()
        row = qt.QHBoxLayout(self._working)
        row.setContentsMargins(0, 0, 0, 0)
        self.progress = qt.QProgressBar()
        self.progress.maximum = 100
        self.stopButton = qt.QPushButton(_("Cancel"))
        self.stopButton.setToolTip(_("Drop this edit and the strokes that wait (Esc)."))
        self.stopButton.connect("clicked()", self._owner.onCancel)
        row.addWidget(self.progress, 1)
        row.addWidget(self.stopButton)
        self._working.visible = False
        scriptedEffect.addOptionsWidget(self._working)

    def _addEdits(self, scriptedEffect):
        group = ctk.ctkCollapsibleGroupBox()
        group.title = _("Edits of this segment")
        column = qt.QVBoxLayout(group)
        self.edits = qt.QListWidget()
        self.edits.objectName = "ScribbleEditList"
        self.edits.setToolTip(_("A click shows the place of an edit in all slice views."))
        self.edits.setMaximumHeight(110)
        self.revertButton = qt.QPushButton(_("Revert this one"))
        self.revertButton.objectName = "ScribbleEditRevert"
        self.revertButton.setToolTip(
            _("Undoes the chosen edit and keeps the later ones. Voxels that it took from other segments stay taken.")
        )
        self.revertButton.enabled = False
        column.addWidget(self.edits)
        column.addWidget(self.revertButton)
        scriptedEffect.addOptionsWidget(group)
        self.edits.connect("currentRowChanged(int)", self._onRow)
        self.revertButton.connect("clicked()", self._onRevert)

    def _onRow(self, row):
        self.revertButton.enabled = self.chosenEdit() > 0
        if self.chosenEdit():
            self._owner.onJump(self.chosenEdit())

    def _onRevert(self):
        self._owner.onRevert(self.chosenEdit())
