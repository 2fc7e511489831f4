"""Dataset formats: readers, writers, detection and the import doctor."""

from workbench.formats.detection import Detected, detect
from workbench.formats.reading import read
from workbench.formats.rows import PreferenceRow, Read, Row
from workbench.formats.table import FORMATS
from workbench.formats.writing import EXPORTS, exports_for, write

__all__ = ["EXPORTS", "FORMATS", "Detected", "PreferenceRow", "Read", "Row", "detect", "exports_for", "read", "write"]
