"""Every optimizer that a recipe can name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from groundup.optim.adamw import AdamW
from groundup.optim.muon import Muon

OptimizerConfig = Annotated[AdamW | Muon, Field(discriminator="kind")]
