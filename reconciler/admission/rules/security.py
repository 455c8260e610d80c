"""Rules of security contexts."""

from __future__ import annotations

import re

from reconciler.admission.errors import (
    Errors,
    FieldError,
    GoValue,
    Reason,
    duplicate,
    invalid,
    not_supported,
    required,
)
from reconciler.admission.rules import names
from reconciler.model.pod import PodSpec
from reconciler.model.security import (
    AppArmorProfile,
    PodSecurityContext,
    SeccompProfile,
    SecurityContext,
    WindowsSecurityContextOptions,
)

ID_MAX = 2**31 - 1
USER_NAME_MAX = 104
DOMAIN_MAX = 256
PROFILE_MAX = 4095
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_SYSCTL = re.compile(r"[a-z0-9]([-_a-z0-9]*[a-z0-9])?([./][a-z0-9]([-_a-z0-9]*[a-z0-9])?)*")
_SYSCTL_MAX = 253
_SYSCTL_TEXT = (
    "must have at most 253 characters and match regex "
    r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
)
_IPC_SYSCTLS = ("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")


def container_security(context: SecurityContext, path: str) -> Errors:
    """ValidateSecurityContext."""
    yield from _identifier(context.run_as_user, f"{path}.runAsUser")
    yield from _identifier(context.run_as_group, f"{path}.runAsGroup")
    if context.proc_mount is not None and context.proc_mount not in ("Default", "Unmasked"):
        yield not_supported(f"{path}.procMount", context.proc_mount, ("Default", "Unmasked"))
    if context.seccomp_profile is not None:
        yield from _seccomp(context.seccomp_profile, f"{path}.seccompProfile")
    if context.allow_privilege_escalation is False:
        yield from _no_escalation(context, path)
    if context.windows_options is not None:
        yield from _windows(context.windows_options, f"{path}.windowsOptions")
    if context.app_armor_profile is not None:
        yield from _app_armor(context.app_armor_profile, f"{path}.appArmorProfile")


def unmasked(context: SecurityContext | None, spec: PodSpec, path: str) -> Errors:
    """Kubernetes' rule of procMount: only in a user namespace may all of /proc be seen."""
    if context is not None and context.proc_mount == "Unmasked" and spec.host_users is not False:
        text = "`hostUsers` must be false to use `Unmasked`"
        yield invalid(f"{path}.procMount", context.proc_mount, text)


def _identifier(value: int | None, path: str) -> Errors:
    if value is not None and not 0 <= value <= ID_MAX:
        yield invalid(path, value, names.ID_MESSAGE)


def _no_escalation(context: SecurityContext, path: str) -> Errors:
    shown = GoValue("core.SecurityContext{...}")
    text = "cannot set `allowPrivilegeEscalation` to false and "
    if context.privileged:
        yield invalid(path, shown, f"{text}`privileged` to true")
    if context.capabilities is not None and "CAP_SYS_ADMIN" in context.capabilities.add:
        yield invalid(path, shown, f"{text}`capabilities.Add` CAP_SYS_ADMIN")


def _seccomp(profile: SeccompProfile, path: str) -> Errors:
    if not profile.type:
        yield required(f"{path}.type", "type is required when seccompProfile is set")
    elif profile.type not in _PROFILES:
        yield not_supported(f"{path}.type", profile.type, _PROFILES)
    where, local = f"{path}.localhostProfile", profile.localhost_profile
    if profile.type == "Localhost":
        if local is None:
            yield required(where, "must be set when seccomp type is Localhost")
        else:
            yield from names.each(where, local, names.descending_path(local))
    elif local is not None:
        yield invalid(where, local, "can only be set when seccomp type is Localhost")


def _app_armor(profile: AppArmorProfile, path: str) -> Errors:
    where, local = f"{path}.localhostProfile", profile.localhost_profile
    match profile.type:
        case "Localhost":
            yield from _app_armor_local(local, where)
        case "RuntimeDefault" | "Unconfined":
            if local is not None:
                yield invalid(where, local, "can only be set when AppArmor type is Localhost")
        case "":
            yield required(f"{path}.type", "type is required when appArmorProfile is set")
        case _:
            yield not_supported(f"{path}.type", profile.type, _PROFILES)


def _app_armor_local(local: str | None, path: str) -> Errors:
    if local is None or not local.strip():
        yield required(path, "must be set when AppArmor type is Localhost")
    elif local.strip() != local:
        yield invalid(path, local, "must not be padded with whitespace")
    elif len(local) > PROFILE_MAX:
        text = f"may not be more than {PROFILE_MAX} bytes"
        yield FieldError(path, Reason.TOO_LONG, text, local)


def _windows(options: WindowsSecurityContextOptions, path: str) -> Errors:
    user = options.run_as_user_name
    if user is None:
        return
    where = f"{path}.runAsUserName"
    if not user:
        yield invalid(where, user, "runAsUserName cannot be an empty string")
        return
    if any(ord(character) < ord(" ") for character in user):
        yield invalid(where, user, "runAsUserName cannot contain control characters")
    domain, slash, name = user.rpartition("\\")
    if not name:
        yield invalid(where, user, "runAsUserName's User cannot be empty")
    if len(name) > USER_NAME_MAX:
        text = f"runAsUserName's User length must not be longer than {USER_NAME_MAX} characters"
        yield invalid(where, user, text)
    if slash and len(domain) >= DOMAIN_MAX:
        text = f"runAsUserName's Domain length must be under {DOMAIN_MAX} characters"
        yield invalid(where, user, text)


def pod_security(spec: PodSpec, path: str) -> Errors:
    """ValidatePodSecurityContext."""
    context = spec.security_context
    if context is None:
        return
    yield from _identifier(context.fs_group, f"{path}.fsGroup")
    yield from _identifier(context.run_as_user, f"{path}.runAsUser")
    yield from _identifier(context.run_as_group, f"{path}.runAsGroup")
    for index, group in enumerate(context.supplemental_groups):
        yield from _identifier(group, f"{path}.supplementalGroups[{index}]")
    if spec.share_process_namespace and spec.host_pid:
        text = "ShareProcessNamespace and HostPID cannot both be enabled"
        yield invalid(f"{path}.shareProcessNamespace", spec.share_process_namespace, text)
    if context.sysctls:
        yield from _sysctls(context, spec, f"{path}.sysctls")
    policy = context.fs_group_change_policy
    if policy is not None and policy not in ("Always", "OnRootMismatch"):
        supported = ("Always", "OnRootMismatch")
        yield not_supported(f"{path}.fsGroupChangePolicy", policy, supported)
    if context.seccomp_profile is not None:
        yield from _seccomp(context.seccomp_profile, f"{path}.seccompProfile")
    if context.windows_options is not None:
        yield from _windows(context.windows_options, f"{path}.windowsOptions")
    if context.app_armor_profile is not None:
        yield from _app_armor(context.app_armor_profile, f"{path}.appArmorProfile")


def _sysctls(context: PodSecurityContext, spec: PodSpec, path: str) -> Errors:
    seen: set[str] = set()
    for index, sysctl in enumerate(context.sysctls):
        where, name = f"{path}[{index}].name", sysctl.name
        if not name:
            yield required(where)
        elif len(name) > _SYSCTL_MAX or not _SYSCTL.fullmatch(name):
            yield invalid(where, name, _SYSCTL_TEXT)
        elif name in seen:
            yield duplicate(where, name)
        if spec.host_network and name.startswith("net."):
            yield invalid(where, name, "may not be specified when 'hostNetwork' is true")
        if spec.host_ipc and name.startswith(_IPC_SYSCTLS):
            yield invalid(where, name, "may not be specified when 'hostIPC' is true")
        seen.add(name)
