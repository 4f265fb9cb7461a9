"""The measurement end to end on procedural actors; each fake is its real with the face blurred."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.app import app
from benchmarks.outside import report
from benchmarks.outside.faces import find_faces
from benchmarks.outside.forms import FORMS, MOST_SIDE_PX, all_forms, matched_sides
from benchmarks.outside.index import read_index
from benchmarks.outside.report import main_table, measure, measurements, named_detectors, parts_table
from benchmarks.outside.softness import softness
from benchmarks.schema import load_result
from detect.models import build_detector
from detect.models.checkpoint import DetectorFacts, save_detector
from shared.actors import Actor, film
from shared.device import seed_everything
from shared.errors import UsageError
from shared.faces.finders.sidecar import SidecarFinder
from shared.faces.mask import hull_mask
from shared.types import Face
from shared.video import VideoReader
from shared.video.images import encode_png
