"""The rows of our own kinds, sources, revisions and their images, in `kubectl get`. Pure.

Called by `columns.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from reconciler.apiserver.http.tables.text import age
from reconciler.model.gitops import Revision, Source
from reconciler.model.imagepull import ImagePull

_SHORT = 12


def _column(name: str, description: str, *, wide: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "type": "string",
        "format": "name" if name == "Name" else "",
        "description": description,
        "priority": int(wide),
    }


_NAME = _column("Name", "The object's name.")
_AGE = _column("Age", "How long the object has been there.")

DEFINITIONS: dict[str, list[dict[str, Any]]] = {
    "imagepulls": [
        _NAME,
        _column("Revision", "The Revision that waits for the images."),
        _column("Node", "The node that shall have them."),
        _column("Ready", "How many of the images it has."),
        _column("Failed", "The images that cannot be had."),
        _AGE,
    ],
    "sources": [
        _NAME,
        _column("Phase", "What is being done with the source now."),
        _column("Observed", "The newest revision seen."),
        _column("Applied", "The newest revision that was wholly applied."),
        _column("Message", "Why, when something is not well."),
        _AGE,
        _column("URL", "Where the manifests come from.", wide=True),
    ],
    "revisions": [
        _NAME,
        _column("Source", "The source whose state this is."),
        _column("Phase", "How far the revision came."),
        _column("Message", "The first line of the commit's message."),
        _AGE,
        _column("Author", "Who made the commit.", wide=True),
    ],
}
"""The columns of our kinds, by plural."""


def image_pull(obj: ImagePull, now: datetime) -> dict[str, Any]:
    """Return the row of the images that a node shall have."""
    found = obj.status.images
    here = sum(each.state in ("Present", "Pulled") for each in found)
    cells = [
        obj.metadata.name,
        obj.spec.revision,
        obj.spec.node_name,
        f"{here}/{len(obj.spec.images)}",
        ",".join(each.image for each in found if each.state == "Failed"),
        age(obj.metadata.creation_timestamp, now),
    ]
    return {"cells": cells}


def source(obj: Source, now: datetime) -> dict[str, Any]:
    """Return the row of a source."""
    status = obj.status
    cells = [
        obj.metadata.name,
        status.phase,
        status.observed_revision[:_SHORT],
        status.applied_revision[:_SHORT],
        status.message,
        age(obj.metadata.creation_timestamp, now),
        obj.spec.url,
    ]
    return {"cells": cells}


def revision(obj: Revision, now: datetime) -> dict[str, Any]:
    """Return the row of a revision."""
    message = obj.spec.message.strip().partition("\n")[0]
    cells = [
        obj.metadata.name,
        obj.spec.source,
        obj.status.phase,
        message,
        age(obj.metadata.creation_timestamp, now),
        obj.spec.author,
    ]
    return {"cells": cells}
