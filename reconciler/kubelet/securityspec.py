"""What a container may do and as whom it runs, in the engine's terms. Pure.

Called by `podspec.py`. A container's own security context goes before the pod's, field by field
(Kubernetes' DetermineEffectiveSecurityContext).
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.core.errors import ReconcilerError
from reconciler.kubelet.accounts import Accounts, UnknownAccount
from reconciler.kubelet.labels import PodKey
from reconciler.kubelet.runtime import Image, Security
from reconciler.model.container import Container
from reconciler.model.pod import Pod
from reconciler.model.security import (
    AppArmorProfile,
    PodSecurityContext,
    SeccompProfile,
    SecurityContext,
    SELinuxOptions,
)

_STRICT = "Strict"


class SecurityRefused(ReconcilerError):
    """The pod's security context forbids this image, or does not fit it."""


@dataclass(frozen=True, slots=True)
class _Contexts:
    own: SecurityContext
    shared: PodSecurityContext

    @property
    def user(self) -> int | None:
        own = self.own.run_as_user
        return self.shared.run_as_user if own is None else own

    @property
    def group(self) -> int | None:
        own = self.own.run_as_group
        return self.shared.run_as_group if own is None else own

    @property
    def seccomp(self) -> SeccompProfile | None:
        return self.own.seccomp_profile or self.shared.seccomp_profile

    @property
    def app_armor(self) -> AppArmorProfile | None:
        return self.own.app_armor_profile or self.shared.app_armor_profile

    @property
    def selinux(self) -> SELinuxOptions | None:
        return self.own.se_linux_options or self.shared.se_linux_options


def _contexts(pod: Pod, container: Container) -> _Contexts:
    return _Contexts(
        container.security_context or SecurityContext(),
        pod.spec.security_context or PodSecurityContext(),
    )


def needs_accounts(pod: Pod, container: Container) -> bool:
    """Tell whether who the container runs as depends on the image's users and groups.

    The engine itself adds a user's groups from the image, but only where no group is given.
    """
    contexts = _contexts(pod, container)
    return contexts.shared.supplemental_groups_policy == _STRICT or contexts.group is not None


def seccomp_profile(pod: Pod, container: Container) -> str:
    """Return the path of the host's seccomp profile below its folder; empty without one."""
    profile = _contexts(pod, container).seccomp
    if profile is None or profile.type != "Localhost":
        return ""
    return profile.localhost_profile or ""


def security(
    pod: Pod, container: Container, image: Image, accounts: Accounts | None, seccomp: str
) -> Security:
    """Return the rights of a container; raises `SecurityRefused`.

    `accounts` are the image's where they are needed; `seccomp` is the content of the profile that
    `seccomp_profile` names.
    """
    contexts = _contexts(pod, container)
    own = contexts.own
    try:
        _check_non_root(contexts, image)
    except SecurityRefused as error:
        key = PodKey(pod.metadata.namespace, pod.metadata.name, pod.metadata.uid)
        where = f'(pod: "{key}", container: {container.name})'
        raise SecurityRefused(f"{error} {where}") from error
    capabilities = own.capabilities
    user, groups = _identity(contexts, image, accounts)
    return Security(
        user=user,
        groups=tuple(str(number) for number in groups),
        privileged=bool(own.privileged),
        add_capabilities=capabilities.add if capabilities else (),
        drop_capabilities=capabilities.drop if capabilities else (),
        read_only_root=bool(own.read_only_root_filesystem),
        no_new_privileges=own.allow_privilege_escalation is False,
        seccomp=seccomp or _seccomp(contexts.seccomp),
        app_armor="" if own.privileged else _app_armor(contexts.app_armor),
        selinux=_selinux(contexts.selinux),
    )


def _identity(
    contexts: _Contexts, image: Image, accounts: Accounts | None
) -> tuple[str, tuple[int, ...]]:
    """Return "UID[:GID]" and the other groups (supplementalGroupsPolicy).

    With Merge the image's memberships of the user count too, with Strict they do not.
    """
    shared = contexts.shared
    owner = (shared.fs_group,) if shared.fs_group is not None else ()
    extra = (*shared.supplemental_groups, *owner)
    named, _, primary = image.user.partition(":")
    user = str(contexts.user) if contexts.user is not None else named or "0"
    if accounts is None:
        return (str(contexts.user) if contexts.user is not None else ""), extra
    try:
        known = accounts.user(user)
        group = contexts.group
        if group is None:
            given = primary if contexts.user is None else ""
            group = accounts.gid(given) if given else known.gid
    except UnknownAccount as error:
        raise SecurityRefused(str(error)) from error
    if shared.supplemental_groups_policy != _STRICT:
        extra = (*extra, *(gid for gid in accounts.memberships(known) if gid not in extra))
    return f"{known.uid}:{group}", extra


def _seccomp(profile: SeccompProfile | None) -> str:
    return "unconfined" if profile is not None and profile.type == "Unconfined" else ""


def _app_armor(profile: AppArmorProfile | None) -> str:
    """Return the profile's name for the engine; empty for the engine's own."""
    if profile is None or profile.type == "RuntimeDefault":
        return ""
    return "unconfined" if profile.type == "Unconfined" else profile.localhost_profile or ""


def _selinux(options: SELinuxOptions | None) -> tuple[str, ...]:
    if options is None:
        return ()
    parts = (("user", options.user), ("role", options.role), ("type", options.type),
             ("level", options.level))  # fmt: skip
    return tuple(f"{name}:{value}" for name, value in parts if value)


def _check_non_root(contexts: _Contexts, image: Image) -> None:
    """Kubernetes' verifyRunAsNonRoot."""
    own, shared, user = contexts.own, contexts.shared, contexts.user
    demanded = shared.run_as_non_root if own.run_as_non_root is None else own.run_as_non_root
    if not demanded:
        return
    if user == 0:
        raise SecurityRefused("container's runAsUser breaks non-root policy")
    if user is not None:
        return
    name = image.user.partition(":")[0]
    if not name or name == "0":
        raise SecurityRefused("container has runAsNonRoot and image will run as root")
    if not name.isdecimal():
        raise SecurityRefused(
            f"container has runAsNonRoot and image has non-numeric user ({name}), "
            "cannot verify user is non-root"
        )
