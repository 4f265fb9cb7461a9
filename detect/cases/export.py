"""A case packed into one archive, which :func:`detect.cases.seal.check_case` checks as it is."""

from __future__ import annotations

import zipfile
from pathlib import Path

from detect.cases.contents import FolderContents
from detect.cases.log import Step, now
from detect.cases.seal import append_steps, check_case
from shared.errors import CaseError, RunError
from shared.storage import replacing

_DATE = (1980, 1, 1, 0, 0, 0)
_BLOCK_BYTES = 1 << 20


def export_case(folder: Path, out: Path, *, force: bool = False) -> int:
    """Packs the case ``folder`` into the ZIP archive ``out``; the number of files. The export is logged in the case.

    Equal cases give equal archives: no dates, files by name.

    Raises:
        CaseError: it is no case folder, or was changed.
        RunError: ``out`` exists and ``force`` is off.
        StorageError: writing failed.
    """
    if not folder.is_dir():
        raise CaseError(f"{folder} is no case folder", hint="name the folder that assay inspect wrote")
    if out.exists() and not force:
        raise RunError(f"{out} exists already", hint="choose another file, or replace it with --force")
    if out.resolve().is_relative_to(folder.resolve()):
        raise CaseError(f"{out} lies in the case itself", hint="choose a place outside it")
    faults = check_case(folder).faults
    if faults:
        raise CaseError(f"{folder} was changed: {faults[0]}", hint="assay case verify lists all faults")
    moment = now()
    append_steps(folder, [Step("exported", moment, moment, {"archive": out.name})])
    names = FolderContents(folder).names()
    with replacing(out) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            member = zipfile.ZipInfo(f"{folder.resolve().name}/{name}", _DATE)
            member.compress_type, member.external_attr = zipfile.ZIP_DEFLATED, 0o100644 << 16
            with (folder / name).open("rb") as source, archive.open(member, "w") as target:
                while block := source.read(_BLOCK_BYTES):
                    target.write(block)
    return len(names)
