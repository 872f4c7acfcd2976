"""One synthesis as a child process: its files are written and read by the worker, so that the panel never waits."""

from slicer.i18n import tr as _


class SynthesisRun:
    """Runs one synthesis at a time and shows how it goes.

    Parameters
    ----------
    row
        The `desktop.run_row.RunRow` that tells of it.
    onMade
        Called with the inputs and the `mrml.synthesis_nodes.Synthetic`; gives a sentence for the row.
    onEnd
        Called without arguments when it has ended, whatever the end.
    """

    # Shares of the bar: writing the MR, the child process, reading the CT.
    _WRITTEN, _MADE = 0.04, 0.95

    def __init__(self, row, onMade, onEnd):
        from SparseToPreciseLib.desktop.child import Child
        from SparseToPreciseLib.desktop.child_row import ScratchFolder

        self._row, self._onMade, self._onEnd = row, onMade, onEnd
        self._child = Child(self._stepped, self._childEnded)
        self._folder = ScratchFolder()
        self._inputs = self._job = None
        self._classes = False

    @property
    def running(self):
        """From start() until onEnd is called."""
        return self._inputs is not None

    def start(self, inputs, models, classes=False, **options):
        """Begin; the options are those of `mrml.synthesis_files`."""
        from SparseToPreciseLib.desktop.worker import shared_worker
        from SparseToPreciseLib.mrml.synthesis_files import write_request

        self._inputs, self._classes = inputs, classes
        self._row.begin(_("Writing the MR…"))
        folder = self._folder.make()

        def write(progress):
            return write_request(inputs, folder, models, progress=progress, **options)

        self._job = shared_worker().submit(write, self._written)

    def cancel(self):
        """Stop it; nothing is added to the scene."""
        if self._job is not None:
            self._job.cancel()
        self._child.cancel()

    def _written(self, arguments, error):
        self._job = None
        if error is not None:
            self._end(error)
        else:
            self._child.start(arguments)

    def _stepped(self, event):
        share = self._WRITTEN + (self._MADE - self._WRITTEN) * float(event["fraction"])
        self._row.step(share, str(event.get("message", "")))

    def _childEnded(self, outcome):
        from SparseToPreciseLib.desktop.worker import shared_worker
        from SparseToPreciseLib.mrml.synthesis_files import read_answer

        if not outcome.ok:
            self._end(None, outcome.sentence, "" if outcome.cancelled else outcome.log)
            return
        folder, classes = self._folder.path, self._classes
        self._row.step(self._MADE, _("Reading the CT…"))
        self._job = shared_worker().submit(lambda progress: read_answer(folder, classes, progress), self._answered)

    def _answered(self, made, error):
        self._job = None
        if error is not None:
            self._end(error)
            return
        try:
            text = self._onMade(self._inputs, made)
        except Exception as problem:  # whatever went wrong is for the user to read
            self._end(problem)
            return
        self._end(None, text)

    def _end(self, error, text="", details=""):
        """Everything is put away, whatever the end; only then the panel is told."""
        from SparseToPreciseLib.desktop.messages import sentence

        self._folder.remove()
        self._inputs = None
        if error is not None:
            self._row.fail(*sentence(error))
        elif details:
            self._row.fail(text, details)
        else:
            self._row.finish(text)
        self._onEnd()
