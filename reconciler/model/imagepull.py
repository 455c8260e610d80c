"""ImagePull, of our group gitops.reconciler.dev/v1alpha1: images that a node shall have in advance.

`sync` writes the spec before a revision touches any pod, the node's kubelet the status; nobody
calls the other. The objects live as long as the revision waits for its images.
"""

from __future__ import annotations

from typing import Literal

from reconciler.model.base import Model, always
from reconciler.model.gitops import API_VERSION
from reconciler.model.meta import KubeObject
from reconciler.model.reference import SecretReference
from reconciler.model.scalar import Int64


class WantedImage(Model):
    """One image. `pull_policy` is the container's; `pull_secrets` are tried as a pod's are."""

    image: str = always(str)
    pull_policy: str = ""
    pull_secrets: tuple[SecretReference, ...] = ()


class ImagePullSpec(Model):
    """`revision` names the Revision that waits, `node_name` the node whose kubelet pulls."""

    revision: str = ""
    node_name: str = always(str)
    images: tuple[WantedImage, ...] = ()


ImageState = Literal["Pulling", "Present", "Pulled", "Failed"]


class ImageResult(Model):
    """How it stands with one image. A failed pull is tried again; `reason` is as in a pod's status.

    `duration_seconds` is what the pull took, 0 for an image that was there (`Present`).
    """

    image: str = always(str)
    state: ImageState = "Pulling"
    reason: str = ""
    message: str = ""
    duration_seconds: float = 0.0


class ImagePullStatus(Model):
    """One result for each image of the spec, in its order, once `observed_generation` is its."""

    observed_generation: Int64 = 0
    images: tuple[ImageResult, ...] = ()


class ImagePull(KubeObject):
    """The images that one node shall have before a revision is applied. Cluster-scoped."""

    api_version: Literal["gitops.reconciler.dev/v1alpha1"] = always(lambda: API_VERSION)
    kind: Literal["ImagePull"] = always(lambda: "ImagePull")
    spec: ImagePullSpec = always(ImagePullSpec)
    status: ImagePullStatus = always(ImagePullStatus)
