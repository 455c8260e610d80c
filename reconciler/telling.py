"""Who is told of revisions: people, forges, collectors, `kubectl`. Composed for `controlplane.py`.

It decides nothing: it joins what `sync` makes of revisions with the settings. What leads to a
library that not every daemon needs is imported when a setting asks for it.
"""

from __future__ import annotations

from importlib.metadata import version

from reconciler.client.events import ComponentRecorder
from reconciler.client.informer import Informer
from reconciler.core.tasks import Part
from reconciler.model.gitops import Revision, Source
from reconciler.settings import Settings
from reconciler.sync.chronicle import Chronicle
from reconciler.sync.durations import Durations
from reconciler.sync.progress import Steps


class Telling:
    """All that hears of revisions. `durations` are the measures of this start."""

    def __init__(
        self,
        settings: Settings,
        revisions: Informer[Revision],
        sources: Informer[Source],
        recorder: ComponentRecorder,
    ) -> None:
        self._settings = settings
        self._revisions = revisions
        self._steps = Steps(revisions)
        self.durations = Durations()
        self._steps.listen(self.durations.reached)
        Chronicle(self._steps, revisions, sources, recorder)

    def parts(self) -> dict[str, Part]:
        """Return the loops by name, those that the settings ask for."""
        return {**self._notifier(), **self._tracer()}

    def _notifier(self) -> dict[str, Part]:
        told = self._settings
        if not (
            told.notify_webhook or told.notify_slack or told.notify_email or told.commit_status
        ):
            return {}
        from reconciler.sync.notify import Channels, Notifier  # noqa: PLC0415 - smtplib, urllib

        channels = Channels(
            webhook=told.notify_webhook,
            slack=told.notify_slack,
            email=told.notify_email,
            forge=told.commit_status or None,
            status_url=told.commit_status_url,
            status_token=told.commit_status_token_file,
        )
        return {"notify": Notifier(self._revisions, channels).run}

    def _tracer(self) -> dict[str, Part]:
        endpoint = self._settings.otlp_endpoint
        if not endpoint:
            return {}
        from reconciler.sync.tracing import Tracer  # noqa: PLC0415 - leads to the SDK

        return {"tracing": Tracer(self._steps, endpoint, version("reconciler")).run}
