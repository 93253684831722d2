"""Where a checkpoint is and how it is to be loaded, as the user has said it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Source:
    """A checkpoint.

    Attributes:
        model: a folder, or a name on the model hub.
        revision: of a name: a branch, a tag or a commit.
        device: as torch names it; None: the first GPU, or else the CPU.
        dtype: of the weights, as torch names it; None: the checkpoint's own on a GPU, float32 on a CPU.
        trust_remote_code: whether Python code of the checkpoint may run.
    """

    model: str
    revision: str | None = None
    device: str | None = None
    dtype: str | None = None
    trust_remote_code: bool = False

    @property
    def folder(self) -> Path | None:
        """The folder; None: it is a name on the hub."""
        folder = Path(self.model).expanduser()
        return folder if folder.is_dir() else None

    @property
    def name(self) -> str:
        """What clients ask for, unless the user says something else."""
        folder = self.folder
        return self.model if folder is None else folder.resolve().name

    @property
    def missing(self) -> bool:
        """Whether it is a path without a folder, so that the hub need not be asked for it."""
        path = self.model.startswith(("/", ".", "~")) or self.model.count("/") > 1 or "\\" in self.model
        return path and self.folder is None

    def explain(self, error: Exception) -> str:
        """Why it cannot be loaded, and what to do."""
        reason = str(error) or type(error).__name__
        if self.folder is not None:
            return f"the checkpoint in {self.model} cannot be loaded: {reason}"
        return (
            f"there is no folder {self.model}, and the model hub gives no model of this name; give a folder that has "
            f"config.json and *.safetensors, or download the model first: {reason}"
        )
