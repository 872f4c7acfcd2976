"""The tab "Find", for one volume of the scene: the worker searches it, and new nodes show what was found."""

import slicer
from slicer.i18n import tr as _

from SparseToPreciseLib.desktop.work_section import WorkSection

from .LandmarkTable import LandmarkTable

FOLDER = "a folder"


class FindSection(WorkSection):
    """Finds landmarks, and takes them out of the scene again; a section of `desktop.module_panel`.

    Parameters
    ----------
    ui
        The widgets of LandmarkModule.ui.
    parameters
        Gives the module's parameter node, or None while a scene closes.
    logic
        The module's.
    """

    def __init__(self, ui, parameters, logic):
        from SparseToPreciseLib.desktop.model_selector import ModelSelector
        from SparseToPreciseLib.desktop.run_row import RunRow

        self.ui, self._parameters, self._logic = ui, parameters, logic
        self._setupReady = False
        self._last = []  # IDs of the nodes that were made last
        self.templates = ModelSelector("landmarks", on_changed=self._templateChosen)
        self.row = RunRow(_("Find"), self.find, self.cancel)
        self.table = LandmarkTable(ui.landmarkTable)
        ui.templateFrame.layout().addWidget(self.templates)
        ui.findFrame.layout().addWidget(self.row)
        ui.placeWidget.buttonsVisible = False
        ui.placeWidget.placeButton().show()
        ui.templateFolderButton.connect("clicked(bool)", self.chooseFolder)
        ui.seedSelector.connect("currentNodeChanged(vtkMRMLNode*)", ui.placeWidget.setCurrentNode)
        ui.seedSelector.connect("nodeAddedByUser(vtkMRMLNode*)", self.placeSeed)
        ui.discardButton.connect("clicked(bool)", self.discard)
        self.say("")
        self.follow()

    def set_setup(self, ready):
        """Say whether everything that a search needs is installed."""
        self._setupReady = ready
        self.follow()

    def choose_defaults(self):
        """Where no target is chosen, take the first image that is not the annotated one."""
        from SparseToPreciseLib.mrml.training_cases import images_of_scene

        p = self._parameters()
        if p.target is None:
            p.target = next((one for one in images_of_scene() if one is not p.reference), None)

    def refresh(self):
        """Look again which templates there are, and choose that of the parameter node."""
        p = self._parameters()
        self.templates.refresh()
        if p and p.template:
            self.templates.set_model(p.template)
        self.follow()

    def follow(self):
        """Follow the parameter node: what can run, and the table of the chosen list."""
        p = self._parameters()
        folder = bool(p and p.source == FOLDER)
        for widget in (self.ui.targetLabel, self.ui.targetSelector, self.ui.seedLabel, self.ui.seedSelector):
            widget.visible = not folder
        for widget in (self.ui.alsoLabel, self.ui.structureCheckBox, self.ui.wayCheckBox, self.row):
            widget.visible = not folder
        self.ui.placeWidget.visible = not folder
        reason = self.missing()
        reason = reason or (_("Choose the target") if p is None or p.target is None else "")
        reason = reason or (_("Something else is running") if self.job is not None else "")
        self.row.set_ready(not reason, reason)
        self.ui.discardButton.enabled = bool(self._last) and self.job is None
        self.table.show(p.found if p else None)

    def missing(self):
        """Input that is missing before anything can be found; empty when none is."""
        if not self._setupReady:
            return _("Install what is missing first")
        return "" if self.templates.model else _("There is no template; teach one, or choose its folder")

    def find(self):
        from SparseToPreciseLib.desktop import settings
        from SparseToPreciseLib.mrml.landmarks_nodes import detect_inputs, read_target

        p = self._parameters()
        options = {"template": self.templates.model, "mirror": p.mirror, "device": settings.device()}
        options |= {"structure": p.showStructure, "deformation": p.showDeformation}

        def compute(inputs, progress):
            return detect_inputs(inputs, progress=progress, **options)

        self.say("")
        self.work(self.row, lambda: read_target(p.target, p.seed), compute, self._show)

    def discard(self, _checked=False):
        """Take what was found last out of the scene again."""
        from SparseToPreciseLib.mrml.landmarks_nodes import remove_nodes

        remove_nodes(self._last)
        self._last = []
        self.say("")
        self.row.finish(_("Discarded."))
        self.follow()

    def forget(self):
        """The scene closes: what runs is stopped, what was found is no longer there."""
        self.cancel()
        self._last = []
        self.table.show(None)
        self.say("")

    def leave(self):
        self.ui.placeWidget.setPlaceModeEnabled(False)

    def taught(self, name):
        """A new template is there: it is chosen."""
        self.templates.refresh()
        self.templates.set_model(name)

    def chooseFolder(self, _checked=False):
        import qt

        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder of a template"))
        if folder:
            self.templates.set_model(folder)

    def placeSeed(self, node):
        """The mouse places the point of a new list."""
        node.SetMaximumNumberOfControlPoints(1)
        self.ui.placeWidget.setCurrentNode(node)
        self.ui.placeWidget.setPlaceModeEnabled(True)

    def say(self, text):
        """Results of the last search."""
        self.ui.verdictLabel.text = text
        self.ui.verdictLabel.visible = bool(text)

    def _show(self, inputs, answer):
        from SparseToPreciseLib.mrml.landmarks_nodes import show_found

        nodes = [node for node in show_found(inputs, answer) if node is not None]
        self._last = [node.GetID() for node in nodes]
        self._logic.getParameterNode().found = nodes[0]
        self.say(verdict(answer.detection))
        return _("{name} is there.").format(name=nodes[0].GetName())

    def _templateChosen(self, name):
        if self._parameters():
            self._parameters().template = name
        self.follow()


def verdict(detection):
    """A sentence or two about a detection."""
    from SparseToPreciseLib.mrml.landmarks_nodes import SURE

    placed = [one for one in detection.landmarks if one.position is not None]
    unsure = sum(one.confidence < SURE for one in placed)
    said = [_("{placed} of {all} landmarks were placed.").format(placed=len(placed), all=len(detection.landmarks))]
    if unsure:
        said.append(_("{n} of them may be wrong (orange): check these.").format(n=unsure))
    if not placed and detection.landmarks:
        said.append(_("Why: {reason}.").format(reason=detection.landmarks[0].reason))
    if detection.mirrored:
        said.append(_("The target shows the other side."))
    return " ".join(said)
