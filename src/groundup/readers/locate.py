"""Where a data file is: on this machine, or on the hub for those who have a network and the extra `hub`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from groundup.config import expand_path
from groundup.errors import DataError, MissingExtraError

SCHEME: Final = "hf://"
_NAME: Final = re.compile(
    r"hf://datasets/(?P<name>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w.-]+))?/(?P<file>[^*?\[\]@]+)"
)
_PATIENCE: Final = 10.0
"""Seconds for the hub's first answer, before the copy that was fetched earlier is taken."""


def locate(text: str, where: str) -> Path:
    """The path that a setting names; of a file on the hub, that of its copy, which is fetched where there is none.

    A file on the hub is written `hf://datasets/OWNER/NAME/FILE`, and with `@REVISION` behind NAME at one revision.

    Raises:
        ConfigError: as `expand_path`.
        DataError: a name on the hub that is none, or cannot be fetched.
        MissingExtraError: a name on the hub without the package that fetches it.
    """
    if not text.startswith(SCHEME):
        return expand_path(text, where)
    name = _NAME.fullmatch(text)
    if name is None:
        cure = "write hf://datasets/OWNER/NAME/FILE, with @REVISION behind NAME for one revision"
        raise DataError(where, "is no file of a data set on the hub", got=text, cure=cure)
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise MissingExtraError(f"{where}: {text}", "huggingface_hub", "hub") from None
    try:
        found = hf_hub_download(
            name["name"], name["file"], repo_type="dataset", revision=name["revision"], etag_timeout=_PATIENCE
        )
    except Exception as error:  # of several libraries, which the client changes
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        cure = f"where there is a network, run `hf download {name['name']} --repo-type dataset`, and name the file here"
        raise DataError(where, f"cannot be fetched from the hub ({reason})", got=text, cure=cure) from error
    return Path(found)
