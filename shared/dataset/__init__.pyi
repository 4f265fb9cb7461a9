from .folder import DatasetFolder as DatasetFolder
from .layout import DatasetInfo as DatasetInfo
from .layout import masks_for as masks_for
from .layout import media_for as media_for
from .real import add_real_clip as add_real_clip
from .verify import Problem as Problem
from .verify import check_labels as check_labels
from .verify import verify_dataset as verify_dataset
