"""The tab "Teach": from the annotated image to a template, by a child process."""

import slicer
from slicer.i18n import tr as _

_CURVES = {"validation_loss": "validation loss", "dice": "Dice"}
_NAME = "my-landmarks"


class TeachSection:
    """Trains templates; a section of `desktop.module_panel`.

    Parameters
    ----------
    ui
        The widgets of LandmarkModule.ui.
    parameters
        Gives the module's parameter node, or None while a scene closes.
    onTaught
        Called with the name of a new template.
    """

    def __init__(self, ui, parameters, onTaught):
        from SparseToPreciseLib.desktop.child_row import ChildRow, ScratchFolder
        from SparseToPreciseLib.desktop.run_row import RunRow
        from SparseToPreciseLib.desktop.segment_field import SegmentField

        self.ui, self._parameters, self._onTaught = ui, parameters, onTaught
        self._setupReady, self._export, self._output = False, None, None
        self._warnings = []  # about what is being taught
        self._folder = ScratchFolder()
        self._structures = (
            SegmentField(ui.structureSelector, parameters, "structure", "structureID"),
            SegmentField(ui.validationStructureSelector, parameters, "validationStructure", "validationStructureID"),
        )
        self.row = RunRow(_("Train"), self.train, self.cancel, on_end=self.endEarly)
        self.child = ChildRow(self.row, self._done, self._ended, _CURVES, on_row=self._validated)
        ui.teachFrame.layout().addWidget(self.row)
        ui.nameEdit.connect("textChanged(QString)", self._nameChanged)
        self.say([])
        self.follow()

    @property
    def running(self):
        """From a click on Train until the end of the training."""
        return self.row.running

    def set_setup(self, ready):
        """Say whether everything that a training needs is installed."""
        self._setupReady = ready
        self.follow()

    def choose_defaults(self):
        """Where nothing is chosen, take the first segmentation with its image, and the first list with points."""
        from SparseToPreciseLib.mrml.training_cases import images_of_scene, segmentations_of_scene

        p, cases = self._parameters(), segmentations_of_scene()
        if p.structure is None and cases:
            p.structure = cases[0][0]
        if p.structure is not None and not p.structureID:
            p.structureID = next(iter(p.structure.GetSegmentation().GetSegmentIDs()), "")
        if p.reference is None and p.structure is not None:
            # A segmentation that was loaded from a file does not say which image it belongs to.
            p.reference = dict(cases).get(p.structure) or next(iter(images_of_scene()), None)
        if p.landmarks is None:
            lists = slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")
            p.landmarks = next((one for one in lists if one.GetNumberOfDefinedControlPoints() > 1), None)

    def refresh(self):
        """Propose a name that is free."""
        from SparseToPreciseLib.core.user_bundles import free_name

        edit = self.ui.nameEdit
        if not self.running and (not edit.text or self._output is not None and edit.text == self._output.name):
            edit.text = free_name(_NAME)
        self.follow()

    def follow(self):
        """Follow the parameter node: what is chosen, and whether a training can begin."""
        for field in self._structures:
            field.follow()
        reason = self._lacking(self._parameters())
        self.row.set_ready(not reason, reason)

    def train(self):
        """Write the annotated image into a temporary folder, and start the child process."""
        from SparseToPreciseLib.core.user_bundles import folder_for
        from SparseToPreciseLib.desktop.worker import shared_worker
        from SparseToPreciseLib.mrml.landmark_teaching import read_lesson, write_images, write_points

        p = self._parameters()
        try:
            self._output = folder_for(self.ui.nameEdit.text.strip())
            self._output.parent.mkdir(parents=True, exist_ok=True)
            nodes = (p.reference, p.structure, p.structureID, p.landmarks)
            lesson = read_lesson(*nodes, p.validation, p.validationStructure, p.validationStructureID)
            folder = self._folder.make()
            write_points(lesson, folder)
        except Exception as error:  # whatever is wrong is for the user to read
            self._fail(error)
            return
        self._warnings = lesson.warnings
        self.say(self._warnings)
        self.row.begin(_("Preparing…"))
        minutes = p.minutes

        def written(arguments, error):
            self._export = None
            if error is not None:
                self._fail(error)
            else:
                self._start(arguments, minutes)

        self._export = shared_worker().submit(lambda progress: write_images(lesson, folder), written)
        self.follow()

    def cancel(self):
        """Stop a training; nothing of it stays."""
        if self._export is not None:
            self._export.cancel()
        self.child.cancel()

    def endEarly(self):
        """End a training, and keep the best weights so far."""
        self.child.ask_to_end()

    def say(self, warnings):
        """Sentence for the user about the case that is taught."""
        self.ui.teachNotesLabel.text = "\n".join(f"⚠ {one}" for one in warnings)
        self.ui.teachNotesLabel.visible = bool(warnings)

    def _start(self, arguments, minutes):
        from SparseToPreciseLib.desktop import settings

        # The state goes with the images: nothing of a training that is cancelled stays.
        state = str(self._folder.path / "training.checkpoint")
        options = ["--output", str(self._output), "--device", settings.device(), "--checkpoint", state]
        if minutes > 0:
            options += ["--minutes", str(minutes)]
        title = _("Training of {name}").format(name=self._output.name)
        self.child.start(["landmarks", "train", *arguments, *options, "--keep-on-cancel"], title)

    def _validated(self):
        if self.child.rows > 1:  # the first is of a network that has learnt nothing
            self.row.allow_end()

    def _done(self, outcome):
        trained = outcome.result["training"]
        self.say(list(dict.fromkeys([*self._warnings, *outcome.result["warnings"]])))
        self._onTaught(self._output.name)
        said = _("The template {name} is ready (Dice {dice:.2f} on {what}); find its landmarks on the other tab.")
        kept = _("Ended early.") + " " if trained["cancelled"] else ""
        return kept + said.format(
            name=self._output.name, dice=trained["best"]["dice"], what=trained["validated_on"]
        )

    def _ended(self):
        self._folder.remove()
        self.refresh()

    def _fail(self, error):
        from SparseToPreciseLib.desktop.messages import sentence

        self._folder.remove()
        self.row.fail(*sentence(error))
        self.follow()

    def _lacking(self, p):
        if not self._setupReady:
            return _("Install what is missing first")
        if p is None or p.reference is None:
            return _("Choose the annotated image")
        if p.structure is None or p.structure.GetSegmentation().GetSegment(p.structureID) is None:
            return _("Choose the segment of the structure")
        if p.landmarks is None:
            return _("Choose the point list with the landmarks")
        return "" if self.ui.nameEdit.text.strip() else _("Give the template a name")

    def _nameChanged(self, _text):
        self.follow()
