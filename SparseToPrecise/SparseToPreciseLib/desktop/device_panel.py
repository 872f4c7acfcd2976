"""The home module's section on where the computing happens."""

from __future__ import annotations

import sys

from slicer.i18n import tr as _

from . import settings
from .messages import sentence
from .worker import Job, shared_worker


class DevicePanel:
    """Fills the section of the .ui file: the device for all modules, and what PyTorch finds.

    Parameters
    ----------
    ui
        With deviceComboBox, findDevicesButton and deviceLabel.
    """

    def __init__(self, ui) -> None:
        self._combo_box, self._button, self._label = ui.deviceComboBox, ui.findDevicesButton, ui.deviceLabel
        self._job: Job | None = None
        self._found: list = []
        self._fill()
        self._combo_box.connect("currentIndexChanged(int)", self._chosen)
        self._button.connect("clicked(bool)", self.find)

    def refresh(self, torch_version: str | None) -> None:
        """Say what is known without importing PyTorch, or everything when it is imported already."""
        self._button.enabled = torch_version is not None and self._job is None
        self._fill()
        if torch_version is None:
            self._label.text = _("Without PyTorch everything runs on the CPU.")
        elif not self._found and self._job is None:
            self._label.text = _("PyTorch {version}; its devices are not looked up yet.").format(version=torch_version)
        if torch_version is not None and "torch" in sys.modules and not self._found:
            self.find()

    def find(self, _checked: bool = False) -> None:
        """Ask PyTorch for its devices, on the worker's thread: the first import takes seconds."""
        if self._job is None:
            self._button.enabled = False
            self._label.text = _("PyTorch is asked…")
            self._job = shared_worker().submit(_ask_pytorch, self._done)

    def cleanup(self) -> None:
        """The widgets are about to go."""
        self._label = None
        if self._job is not None:
            self._job.cancel()

    def _done(self, result, error) -> None:
        self._job = None
        if self._label is None:
            return
        self._button.enabled = True
        if error is not None:
            self._label.text = sentence(error)[0]
            return
        version, self._found, chosen = result
        lines = [_("PyTorch {version}; auto takes {name}.").format(version=version, name=chosen)]
        self._label.text = "\n".join([*lines, *(device.description for device in self._found)])
        self._fill()

    def _fill(self) -> None:
        stored = settings.device()
        names = list(dict.fromkeys(["auto", "cpu", *(device.name for device in self._found), stored]))
        blocked = self._combo_box.blockSignals(True)
        self._combo_box.clear()
        self._combo_box.addItems(names)
        self._combo_box.setCurrentIndex(names.index(stored))
        self._combo_box.blockSignals(blocked)

    def _chosen(self, _index: int) -> None:
        settings.set_device(self._combo_box.currentText)


def _ask_pytorch(progress):
    import torch

    from ..core.devices import choose_device, present_devices

    return torch.__version__, present_devices(), choose_device("auto").name
