"""The common part of the modules' panels: the .ui file, the parameter node, the scene, the set-up row, their sections.

A module's widget makes one in its setup() and hands enter(), exit() and cleanup() on to it. It is no base class of the
widget: a module file is imported before the home module's folder, and with it this library, may be on the path.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import slicer
import vtk
from slicer.util import VTKObservationMixin

from ..core.setup_states import SetupStep
from .setup_row import SetupRow

_Section = TypeVar("_Section")


class ModulePanel(VTKObservationMixin):
    """Keeps a module's parameter node and its sections together.

    A section is any object. Of these methods it has those that it needs:

    ==================  =====================================================================================
    choose_defaults()   a parameter node has come: fill in what nobody has chosen
    follow()            the parameter node or the scene has changed: show what is chosen, and what can run
    refresh()           the panel comes up, or the scene is a new one: look again at files and at the scene
    set_setup(ready)    whether everything that models need is installed
    leave()             the panel is left
    forget()            the scene closes: stop what works on its nodes, and drop them
    cancel()            the panel is deleted: stop everything
    ==================  =====================================================================================

    Parameters
    ----------
    widget
        The module's; its logic has getParameterNode().
    ui_file
        Path of the .ui file, whose outermost widget is a qMRMLWidget and which has a setupFrame.
    meanwhile
        A sentence on what works before everything is installed.

    Attributes
    ----------
    ui
        The widgets of the .ui file by their names.
    setup_row
        From start() on.
    """

    def __init__(self, widget, ui_file: str, *, meanwhile: str = "") -> None:
        VTKObservationMixin.__init__(self)
        self._widget, self._meanwhile = widget, meanwhile
        self._sections: list[Any] = []
        self._node = self._connection = None
        panel = slicer.util.loadUI(ui_file)
        widget.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)

    def add(self, section: _Section) -> _Section:
        """Take in a section, and give it back."""
        self._sections.append(section)
        return section

    def parameters(self):
        """The parameter node; None while the panel is not shown or a scene closes."""
        return self._node

    def start(self) -> None:
        """All sections are there: from now on they are told what happens."""
        self.setup_row = SetupRow(on_changed=self._setup_changed, meanwhile=self._meanwhile)
        self.ui.setupFrame.layout().addWidget(self.setup_row)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self._scene_closes)
        # A parameter node that is loaded tells of it before the nodes that it refers to are there.
        for event in (scene.EndCloseEvent, scene.EndImportEvent):
            self.addObserver(scene, event, self._scene_is_another)
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent):
            self.addObserver(scene, event, self._scene_changed)
        self._set_node(self._widget.logic.getParameterNode())

    def enter(self) -> None:
        """The panel comes up."""
        self.setup_row.refresh()
        self._set_node(self._widget.logic.getParameterNode())
        self._tell("refresh")

    def exit(self) -> None:
        """The panel is left."""
        self._tell("leave")
        self._set_node(None)

    def cleanup(self) -> None:
        """The panel is deleted."""
        self.removeObservers()
        self._tell("forget")
        self._tell("cancel")

    def _tell(self, what: str, *given) -> None:
        for section in self._sections:
            heard: Callable | None = getattr(section, what, None)
            if heard is not None:
                heard(*given)

    def _set_node(self, node) -> None:
        """Connect the widgets to a parameter node, or to none."""
        if self._node is not None:
            self._node.disconnectGui(self._connection)
            self.removeObserver(self._node, vtk.vtkCommand.ModifiedEvent, self._modified)
        self._node = node
        if node is not None:
            self._connection = node.connectGui(self.ui)
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self._modified)
            self._tell("choose_defaults")
            self._tell("follow")

    def _modified(self, _caller=None, _event=None) -> None:
        self._tell("follow")

    def _scene_changed(self, _caller, _event) -> None:
        if self._node is not None and not slicer.mrmlScene.IsBatchProcessing():
            self._tell("follow")

    def _scene_closes(self, _caller, _event) -> None:
        self._tell("forget")
        self._set_node(None)

    def _scene_is_another(self, _caller, _event) -> None:
        if self._widget.parent.isEntered:
            self._set_node(self._widget.logic.getParameterNode())
            self._tell("refresh")

    def _setup_changed(self, step: SetupStep) -> None:
        self._tell("set_setup", step.ready)
