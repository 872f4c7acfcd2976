""""Train on my cases": a training as a child process, with its curve, and the new model when it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import ctk
import qt
from slicer.i18n import tr as _

from ..core.errors import InputError
from . import settings
from .case_table import SEGMENTATIONS, CaseKind, CaseTable
from .child import Outcome
from .child_row import ChildRow, ScratchFolder
from .messages import sentence
from .run_row import RunRow
from .worker import Job, shared_worker

_VALIDATION = {"validation_loss": "validation loss"}


class TrainPanel(qt.QWidget):
    """Trains a model of one family on cases of the scene, or on a datalist.

    Parameters
    ----------
    command
        Of `sparse-to-precise` and its arguments besides those that the panel has, e.g. ["train", "editing"].
    name
        Proposed for the new model.
    on_trained
        Called with the name of the new bundle.
    curves
        Fields of the command's "validation" to plot against its "steps", and their titles.
    read
        Makes a case of a row's two nodes; None: `mrml.training_cases.read_case`.
    kind
        What a case is.
    options
        Gives further arguments of the command, when it is started.
    told
        Gives a sentence on the command's result, which is shown beside the model's name.
    """

    def __init__(
        self,
        command: Sequence[str],
        name: str,
        on_trained: Callable[[str], None],
        parent: qt.QWidget | None = None,
        curves: Mapping[str, str] = _VALIDATION,
        read: Callable | None = None,
        kind: CaseKind = SEGMENTATIONS,
        options: Callable[[], list[str]] = list,
        told: Callable[[dict], str] | None = None,
    ) -> None:
        super().__init__(parent)
        self._read, self._kind, self._options, self._told = read, kind, options, told
        self._command, self._name, self._on_trained = list(command), name, on_trained
        self._export: Job | None = None
        self._folder = ScratchFolder()
        self._output: Path | None = None
        self._enough = (False, _("Install what is missing first"))
        self._build()
        self._child = ChildRow(self.run_row, self._trained, self._ended, curves, self._validated)
        self.refresh()

    @property
    def running(self) -> bool:
        """From a click on Train until the end of the training."""
        return self.run_row.running

    def refresh(self) -> None:
        """Look again what can be trained on; in the module's enter(), and when the section is opened."""
        if not self.running:
            self.cases.refresh()
            self._propose_name()
        self._update()

    def set_setup(self, ready: bool) -> None:
        """Say whether everything that a training needs is installed."""
        self._enough = (ready, "" if ready else _("Install what is missing first"))
        self._update()

    def cancel(self) -> None:
        """Stop a training; nothing of it stays."""
        if self._export is not None:
            self._export.cancel()
        self._child.cancel()

    def end_early(self) -> None:
        """End a training, and keep the best weights so far."""
        self._child.ask_to_end()

    def train(self) -> None:
        """Write the cases of the scene into a temporary folder, one after another, and start the child process."""
        from ..core.user_bundles import folder_for

        try:
            self._output = folder_for(self.name_edit.text.strip())
            self._output.parent.mkdir(parents=True, exist_ok=True)
        except (InputError, OSError) as error:
            self.run_row.fail(*sentence(error))
            return
        self.run_row.begin(_("Preparing the cases…"))
        self._update()
        self._folder.make()
        if self.from_file:
            self._start(Path(self.datalist_edit.currentPath))
        else:
            self._export_next(self.cases.cases(), [])

    @property
    def from_file(self) -> bool:
        """A datalist is chosen instead of the scene."""
        return self.source_combo.currentIndex == 1

    def _export_next(self, cases: list, entries: list[dict[str, str]]) -> None:
        """One case at a time: read here, where the nodes are, written by the worker."""
        from ..mrml.training_cases import read_case, write_case, write_datalist

        number, folder = len(entries), self._folder.path

        def written(entry, error) -> None:
            self._export = None
            if error is not None:
                self._fail(error)
            else:
                self._export_next(cases, [*entries, entry])

        try:
            if number == len(cases):
                self._start(write_datalist(entries, folder))
                return
            case = (self._read or read_case)(*cases[number])
        except Exception as error:
            self._fail(error)
            return
        self.run_row.step(0.0, _("Writing case {n} of {all}…").format(n=number + 1, all=len(cases)))
        self._export = shared_worker().submit(lambda progress: write_case(case, folder, number), written)

    def _start(self, datalist: Path) -> None:
        arguments = [*self._command, "--dataset", str(datalist), "--output", str(self._output)]
        # Where it goes with the cases: nothing of a training that is cancelled stays.
        arguments += ["--checkpoint", str(self._folder.path / "training.checkpoint"), "--keep-on-cancel"]
        arguments += ["--device", settings.device(), *self._options()]
        for option, box in (("--minutes", self.minutes_box), ("--epochs", self.epochs_box)):
            if box.value > 0:
                arguments += [option, str(box.value)]
        self._child.start(arguments, _("Training of {name}").format(name=self._output.name))

    def _validated(self) -> None:
        if self._child.rows > 1:  # the first is of a network that has learnt nothing
            self.run_row.allow_end()

    def _trained(self, outcome: Outcome) -> str:
        self._on_trained(self._output.name)
        more = self._told(outcome.result) if self._told is not None else ""
        if outcome.result["training"]["cancelled"]:
            more = f"{_('It was ended early.')} {more}"
        return f"{_('The model {name} is ready.').format(name=self._output.name)} {more}".rstrip()

    def _ended(self) -> None:
        self._folder.remove()
        self.refresh()

    def _fail(self, error: BaseException) -> None:
        self._folder.remove()
        self.run_row.fail(*sentence(error))
        self.refresh()

    def _propose_name(self) -> None:
        from ..core.user_bundles import free_name

        if not self.name_edit.text or self._output is not None and self.name_edit.text == self._output.name:
            self.name_edit.text = free_name(self._name)

    def _update(self, _value=None) -> None:
        self.cases.visible, self.datalist_edit.visible = not self.from_file, self.from_file
        reason = self._enough[1]
        if not reason and self.from_file:
            chosen = Path(self.datalist_edit.currentPath or "?")
            reason = "" if chosen.is_file() else _("Choose a datalist: a JSON file that lists the cases")
        elif not reason:
            cases = self.cases.cases()
            reason = "" if cases else self._kind.tick
            lacking = [node.GetName() for node, image in cases if image is None]
            reason = self._kind.choose.format(name=lacking[0]) if lacking else reason
        if not reason and not self.name_edit.text.strip():
            reason = _("Give the new model a name")
        self.run_row.set_ready(not reason, reason)

    def _build(self) -> None:
        self.source_combo = qt.QComboBox(self)
        self.source_combo.addItems([self._kind.source, _("Files, listed in a datalist")])
        self.cases = CaseTable(self, self._update, self._kind)
        self.datalist_edit = ctk.ctkPathLineEdit(self)
        self.datalist_edit.filters = ctk.ctkPathLineEdit.Files | ctk.ctkPathLineEdit.Readable
        self.datalist_edit.nameFilters = ["*.json"]
        self.datalist_edit.toolTip = _("{form}, with paths relative to the file").format(form=self._kind.datalist)
        self.name_edit = qt.QLineEdit(self)
        self.minutes_box, self.epochs_box = qt.QDoubleSpinBox(self), qt.QDoubleSpinBox(self)
        for box, tip in (
            (self.minutes_box, _("End after so much computing time")),
            (self.epochs_box, _("End after so many passes over the cases")),
        ):
            box.setRange(0, 100000)
            box.specialValueText = _("as the recipe says")
            box.toolTip = tip
            box.decimals = 2
        self.run_row = RunRow(_("Train"), self.train, self.cancel, self, on_end=self.end_early)
        form = qt.QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        for label, widget in (
            (_("Cases:"), self.source_combo),
            (None, self.cases),
            (None, self.datalist_edit),
            (_("Name of the model:"), self.name_edit),
            (_("Minutes:"), self.minutes_box),
            (_("Epochs:"), self.epochs_box),
            (None, self.run_row),
        ):
            form.addRow(label, widget) if label else form.addRow(widget)
        self.source_combo.connect("currentIndexChanged(int)", self._update)
        self.datalist_edit.connect("currentPathChanged(QString)", self._update)
        self.name_edit.connect("textChanged(QString)", self._update)
