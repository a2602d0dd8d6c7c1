"""Finding what is wrong with an installation, and mending what can be mended safely."""

from .diagnosis import DoctorReport, diagnose
from .model import Finding

__all__ = ["DoctorReport", "Finding", "diagnose"]
