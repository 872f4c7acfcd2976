"""Segment Editor effect: a stroke along the true boundary corrects the selected segment near it."""

import os

import qt
import slicer
import vtk
from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from .EditorModel import DEFAULT_MODEL, loadInBackground, modelAndDevice
from .EscapeKey import EscapeKey
from .ScribblePanel import RADIUS_RANGE_MM, ScribblePanel
from .StrokeFeedback import StrokeFeedback

_RADIUS, _KEEP, _PREVIEW, _MODEL = "InfluenceRadiusMm", "KeepEarlierEdits", "PreviewBeforeApplying", "Model"
_RADIUS_VOXELS = 8  # of the source volume, where no radius was chosen yet
_WHEEL_FACTOR = 0.2  # as the paint brush
_BIGGER = (vtk.vtkCommand.MouseWheelForwardEvent, vtk.vtkCommand.MouseWheelLeftEvent)
_SMALLER = (vtk.vtkCommand.MouseWheelBackwardEvent, vtk.vtkCommand.MouseWheelRightEvent)


class SegmentEditorEffect(AbstractScriptedSegmentEditorEffect, VTKObservationMixin):
    """Draws strokes and shows what happens; `mrml.stroke_session` does the rest."""

    def __init__(self, scriptedEffect):
        scriptedEffect.name = "Scribble edit"  # not translated: modules find effects by name
        scriptedEffect.title = _("Scribble edit")
        scriptedEffect.perSegment = True
        scriptedEffect.requireSegments = True
        AbstractScriptedSegmentEditorEffect.__init__(self, scriptedEffect)
        VTKObservationMixin.__init__(self)
        self._panel = self._session = self._escape = self._listTimer = None
        self._feedback = {}
        self._stroke, self._drawingIn = [], None
        self._cursorIsBusy = False

    def clone(self):
        import qSlicerSegmentationsEditorEffectsPythonQt as effects

        clonedEffect = effects.qSlicerSegmentEditorScriptedEffect(None)
        clonedEffect.setPythonSource(__file__.replace("\\", "/"))
        return clonedEffect

    def icon(self):
        path = os.path.join(os.path.dirname(__file__), "..", "Resources", "Icons", "ScribbleEdit.svg")
        return qt.QIcon(os.path.normpath(path)) if os.path.exists(path) else qt.QIcon()

    def helpText(self):
        return "<html>" + _("""Correct the selected segment by drawing where its boundary should be.<br>
<p><ul style="margin: 0">
<li><b>Left-button drag</b> in any slice view: draw; on release the segment follows the stroke within the band.
<li><b>Shift + mouse wheel</b> or <b>+/- keys:</b> change the influence radius.
<li><b>Esc:</b> cancel the stroke; else the running edit, the strokes that wait and the preview.
<li><b>Enter:</b> apply the preview.
</ul><p>A stroke that is drawn during an edit waits for its turn. Undo, redo, masks and overwriting of other segments
are those of the Segment Editor. The list shows the edits of the segment; each can be reverted alone.""")

    # The application's calls

    def setupOptionsFrame(self):
        self._panel = ScribblePanel(self.scriptedEffect, self)
        self._escape = EscapeKey(self.onCancel)
        self._listTimer = qt.QTimer()  # several events come with one change
        self._listTimer.setSingleShot(True)
        self._listTimer.setInterval(100)
        self._listTimer.connect("timeout()", self._showEdits)

    def setMRMLDefaults(self):
        self.scriptedEffect.setParameterDefault(_RADIUS, 0.0)  # 0: not chosen yet
        self.scriptedEffect.setParameterDefault(_KEEP, 1)
        self.scriptedEffect.setParameterDefault(_PREVIEW, 0)
        self.scriptedEffect.setParameterDefault(_MODEL, DEFAULT_MODEL)

    def activate(self):
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self._onSceneClose)
        # A change of the selected segment comes this way, a change of an option through updateGUIFromMRML.
        parameters = self.scriptedEffect.parameterSetNode()
        self.addObserver(parameters, vtk.vtkCommand.ModifiedEvent, self._onSelection)
        self._panel.setupRow.refresh()
        self._panel.models.refresh()
        self._chooseRadius()
        self.updateGUIFromMRML()
        self._onSelection()
        loadInBackground(self.scriptedEffect.parameter(_MODEL))

    def deactivate(self):
        self._removeFeedback()
        if self._session is not None:
            self._session.cancel()
        self.removeObservers()
        self._escape.giveBack()
        self._listTimer.stop()
        self._cursorIsBusy = False  # Segment Editor sets the views' cursors itself

    def cleanup(self):
        if self._listTimer is not None:
            self._listTimer.disconnect("timeout()", self._showEdits)
        self.removeObservers()

    def sourceVolumeNodeChanged(self):
        if self.scriptedEffect.active():
            if self._session is not None:
                self._session.cancel(_("Another source volume was chosen; the edit was dropped."))
            self._chooseRadius()

    def layoutChanged(self):
        self._removeFeedback()

    def createCursor(self, widget):
        return qt.QCursor(qt.Qt.BusyCursor if self._cursorIsBusy else qt.Qt.CrossCursor)

    def updateGUIFromMRML(self):
        effect = self.scriptedEffect
        if self._panel is None or effect.parameterSetNode() is None:
            return
        flags = (bool(effect.integerParameter(name)) for name in (_KEEP, _PREVIEW))
        self._panel.setOptions(self._radiusMm(), *flags, effect.parameter(_MODEL))

    def updateMRMLFromGUI(self):
        effect, panel = self.scriptedEffect, self._panel
        effect.setParameter(_RADIUS, float(panel.radius.value))
        effect.setParameter(_KEEP, int(panel.keepEarlier.checked))
        effect.setParameter(_PREVIEW, int(panel.previewFirst.checked))
        effect.setParameter(_MODEL, panel.models.model or DEFAULT_MODEL)

    # The mouse and the keyboard

    def processInteractionEvents(self, callerInteractor, eventId, viewWidget):
        if viewWidget.className() != "qMRMLSliceWidget":
            return False
        if eventId == vtk.vtkCommand.KeyPressEvent:
            return self._onKey(callerInteractor.GetKeySym(), viewWidget)
        if eventId in _BIGGER or eventId in _SMALLER:
            if callerInteractor.GetShiftKey():
                self._scaleRadius(eventId in _BIGGER, viewWidget)
            # A stroke lies in one plane: the wheel must not move it meanwhile.
            return bool(callerInteractor.GetShiftKey()) or self._drawingIn is not None
        position = callerInteractor.GetEventPosition()
        keys = (callerInteractor.GetShiftKey(), callerInteractor.GetControlKey(), callerInteractor.GetAltKey())
        if eventId == vtk.vtkCommand.LeftButtonPressEvent and not any(keys):
            # After a dialog the button has been released elsewhere: the next press draws.
            if self.scriptedEffect.confirmCurrentSegmentVisible() == self.scriptedEffect.ConfirmedWithoutDialog:
                self._dropStroke()
                self._drawingIn, self._stroke = viewWidget, [self.xyToRas(position, viewWidget)]
                self._show()
            return True
        if eventId == vtk.vtkCommand.MouseMoveEvent:
            here = self.xyToRas(position, viewWidget)
            drawing = self._drawingIn == viewWidget
            if drawing:
                self._stroke.append(here)
            if drawing or self._drawingIn is None:
                self._feedbackOf(viewWidget).show(self._stroke or [here], self._radiusMm())
            return drawing
        if eventId == vtk.vtkCommand.LeftButtonReleaseEvent and self._drawingIn == viewWidget:
            stroke = [*self._stroke, self.xyToRas(position, viewWidget)]
            self._dropStroke()
            self._edit(stroke)
            return True
        if eventId == vtk.vtkCommand.LeaveEvent and self._drawingIn is None:
            self._feedbackOf(viewWidget).show([], 0.0)
        return False

    def processViewNodeEvents(self, callerViewNode, eventId, viewWidget):
        if viewWidget in self._feedback:
            self._feedback[viewWidget].update()

    def _onKey(self, key, viewWidget):
        if key == "Escape":
            return self.onCancel()
        if key in ("Return", "KP_Enter") and self._session is not None and self._session.preview is not None:
            self.onAccept()
            return True
        if key in ("plus", "equal", "minus", "underscore"):
            self._scaleRadius(key in ("plus", "equal"), viewWidget)
            return True
        return False

    def _scaleRadius(self, bigger, viewWidget):
        low, high = RADIUS_RANGE_MM
        radius = self._radiusMm() * (1 + _WHEEL_FACTOR if bigger else 1 - _WHEEL_FACTOR)
        self.scriptedEffect.setParameter(_RADIUS, float(min(max(radius, low), high)))
        self._feedbackOf(viewWidget).show(self._stroke or self._feedbackOf(viewWidget).points, self._radiusMm())

    # What the panel calls

    def onModelChanged(self):
        if self.scriptedEffect.active():
            self.updateMRMLFromGUI()
            loadInBackground(self.scriptedEffect.parameter(_MODEL))

    def onModelsChanged(self):
        self._panel.models.refresh()
        loadInBackground(self.scriptedEffect.parameter(_MODEL))

    def onAccept(self):
        self._session.accept()

    def onReject(self):
        self._session.reject()

    def onRevert(self, number):
        self._theSession().revert(number)

    def onCancel(self):
        """A stroke that is being drawn goes first, then the running edit with all that waits."""
        if self._drawingIn is not None:
            self._dropStroke()
            return True
        return self._session is not None and self._session.cancel()

    def onJump(self, number):
        place = self._theSession().place(number)
        if place is not None:
            slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *place, slicer.vtkMRMLSliceNode.CenteredJumpSlice)

    # Strokes

    def _edit(self, strokeRas):
        from SparseToPreciseLib.mrml.stroke_editing import Options

        effect = self.scriptedEffect
        keep = bool(effect.integerParameter(_KEEP))
        model, device = modelAndDevice(effect.parameter(_MODEL))
        options = Options(self._radiusMm(), keep_earlier_edits=keep, model=model, device=device)
        self._theSession().draw(strokeRas, options, preview=bool(effect.integerParameter(_PREVIEW)))

    def _radiusMm(self):
        return self.scriptedEffect.doubleParameter(_RADIUS) or RADIUS_RANGE_MM[0]

    def _chooseRadius(self):
        """Take some voxels of the source volume where the user has chosen no radius yet."""
        volume = self.scriptedEffect.parameterSetNode().GetSourceVolumeNode()
        if volume is not None and not self.scriptedEffect.doubleParameter(_RADIUS):
            x, y, z = volume.GetSpacing()
            low, high = RADIUS_RANGE_MM
            radius = round(_RADIUS_VOXELS * (x * y * z) ** (1 / 3), 1)
            self.scriptedEffect.setParameter(_RADIUS, float(min(max(radius, low), high)))

    def _theSession(self):
        if self._session is None:
            from SparseToPreciseLib.desktop.worker import shared_worker
            from SparseToPreciseLib.mrml.stroke_session import Session

            self._session = Session(self.scriptedEffect, shared_worker(), self._show, self._onFailure)
        return self._session

    def _onFailure(self, error):
        from SparseToPreciseLib.desktop import messages

        messages.show(error, self.scriptedEffect.title)

    def _onSceneClose(self, caller, event):
        self._dropStroke()
        if self._session is not None:
            self._session.cancel()

    def _onSelection(self, *_args):
        node = self.scriptedEffect.parameterSetNode().GetSegmentationNode()
        segmentation = node.GetSegmentation() if node is not None else None
        # Undo and redo announce the second only.
        events = (slicer.vtkSegmentation.SourceRepresentationModified, slicer.vtkSegmentation.SegmentModified)
        if segmentation is not None and not self.hasObserver(segmentation, events[0], self._onSegmentationModified):
            self.removeObservers(self._onSegmentationModified)
            for event in events:
                self.addObserver(segmentation, event, self._onSegmentationModified)
        if self._session is not None:
            self._session.follow_selection()
        self._listTimer.start()

    def _onSegmentationModified(self, caller, event):
        self._listTimer.start()

    # What is shown

    def _show(self):
        session = self._session
        busy = session is not None and session.busy
        if session is not None:
            deciding = session.preview is not None
            self._panel.showWork(session.message, busy, session.fraction, session.waiting, deciding)
        if self._drawingIn is not None or (session is not None and (busy or deciding or session.waiting)):
            self._escape.take()
        else:
            self._escape.giveBack()
        if busy != self._cursorIsBusy and self.scriptedEffect.active():
            self._cursorIsBusy = busy
            manager = slicer.app.layoutManager()
            for name in manager.sliceViewNames() if manager is not None else ():
                view = manager.sliceWidget(name).sliceView()
                view.setViewCursor(self.createCursor(None))
                view.setDefaultViewCursor(self.createCursor(None))
        self._listTimer.start()

    def _showEdits(self):
        if self._session is not None and self.scriptedEffect.parameterSetNode() is not None:
            self._panel.showEdits(self._session.edits())

    def _dropStroke(self):
        if self._drawingIn is not None:
            self._feedbackOf(self._drawingIn).show([], 0.0)
            self._stroke, self._drawingIn = [], None
            self._show()

    def _removeFeedback(self):
        self._dropStroke()
        for feedback in self._feedback.values():
            feedback.remove()
        self._feedback = {}

    def _feedbackOf(self, viewWidget):
        if viewWidget not in self._feedback:
            self._feedback[viewWidget] = StrokeFeedback(self.scriptedEffect, viewWidget)
        return self._feedback[viewWidget]
