"""The model that the effect uses: which one, where it runs, and loading it before it is needed."""

from slicer.i18n import tr as _

DEFAULT_MODEL = "editing"
"""`editing.model.DEFAULT_EDITOR`, which would import scipy when the Segment Editor is opened."""


def modelSelector(onChanged):
    """The list of the models, and of the algorithms that need none."""
    from SparseToPreciseLib.desktop.model_selector import ModelSelector

    warps = (
        ("image-aware-warp", _("Bends the boundary to the stroke along the image's edges; needs no model.")),
        ("signed-distance-warp", _("Bends the boundary to the stroke without looking at the image.")),
    )
    return ModelSelector("editing", warps, on_changed=onChanged)


def modelAndDevice(model):
    """(model, device) as `mrml.stroke_editing.Options` takes them, for the model that is chosen in the panel."""
    from SparseToPreciseLib.desktop import settings

    # Asked for by no name, the default may be replaced by a warp where PyTorch is missing.
    return "" if model == DEFAULT_MODEL else model, settings.device()


def loadInBackground(model):
    """Import the library and load the model on the worker's thread, so that the first stroke need not wait for it."""
    from SparseToPreciseLib.desktop.worker import shared_worker

    wanted = modelAndDevice(model)

    def load(progress):
        from SparseToPreciseLib.editing.model import ready_editor

        ready_editor(*wanted)

    shared_worker().submit(load, lambda result, error: None)  # an error is told when an edit needs the model
