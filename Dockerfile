# The daemon as an image. `make daemon-image` builds it: scripts/build-daemon first puts the
# wheels of requirements.lock and of this package into .cache/wheels on the host.
FROM debian:bookworm-slim AS build
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends python3-venv
COPY .cache/wheels /wheels
RUN python3 -m venv /opt/reconciler \
 && /opt/reconciler/bin/pip install --quiet --no-index --no-deps /wheels/*.whl \
 && /opt/reconciler/bin/pip uninstall --quiet --yes pip setuptools

FROM debian:bookworm-slim
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends \
        git iptables libnftables1 openssh-client python3-minimal libpython3-stdlib ca-certificates \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/reconciler /opt/reconciler
ENV PATH=/opt/reconciler/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONUNBUFFERED=1
ENTRYPOINT ["reconciler"]
CMD ["run"]
