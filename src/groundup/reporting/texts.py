"""Every text of the page, as (English, Chinese)."""

from __future__ import annotations

from typing import Final

from groundup.reporting.texts_advice import ADVICE
from groundup.reporting.texts_costs import COSTS
from groundup.reporting.texts_design import DESIGN
from groundup.reporting.texts_pages import PAGES
from groundup.reporting.texts_results import RESULTS
from groundup.reporting.texts_tour import TOUR

TEXTS: Final[dict[str, tuple[str, str]]] = RESULTS | DESIGN | COSTS | ADVICE | TOUR | PAGES
