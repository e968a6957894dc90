# An always-on run in a container; docs/deployment.md says how to start it. No secret is in any layer, and none belongs there.
#
#   docker build -t microlev .
#   docker run … microlev                      runs /config/microlev.yaml

ARG PYTHON_IMAGE=python:3.12-slim

FROM ${PYTHON_IMAGE} AS build
# The uv of scripts/dev.py.
ARG UV_VERSION=0.13.9
# What a run needs beside the bot itself: alerts and metrics, and the page. Not the research part, not the tests.
ARG EXTRAS="--extra alerts --extra dashboard"
RUN python -m pip install --quiet --disable-pip-version-check --target /uv "uv==${UV_VERSION}"
WORKDIR /opt/microlev/app
COPY pyproject.toml requirements.lock README.md LICENSE ./
# The lock holds everything, with hashes. As a constraint it says of each package that is wanted which version and
# which hashes; one that it does not hold is refused.
RUN /uv/bin/uv venv --quiet --python "$(command -v python)" /opt/microlev/venv \
 && /uv/bin/uv pip install --quiet --no-cache --python /opt/microlev/venv/bin/python \
    --compile-bytecode --require-hashes --constraint requirements.lock -r pyproject.toml ${EXTRAS}
COPY bot ./bot
COPY strategies ./strategies
RUN /uv/bin/uv pip install --quiet --no-cache --python /opt/microlev/venv/bin/python \
    --no-deps --build-constraints requirements.lock --editable . \
 && /opt/microlev/venv/bin/python -m compileall -q bot strategies
# The numeric loops, compiled here so that a start takes seconds. For any processor of the architecture: what is compiled
# for this one would be compiled again on another.
ENV NUMBA_CACHE_DIR=/opt/microlev/loops NUMBA_CPU_NAME=generic
RUN /opt/microlev/venv/bin/python -c "from bot.app import warm_up; warm_up()"

FROM ${PYTHON_IMAGE}
RUN groupadd --gid 10001 microlev \
 && useradd --uid 10001 --gid microlev --create-home --home-dir /home/microlev --shell /usr/sbin/nologin microlev \
 && install -d -o microlev -g microlev -m 0700 /state /home/microlev/.config/microlev \
 && install -d -m 0755 /config
COPY --from=build /opt/microlev/app /opt/microlev/app
COPY --from=build /opt/microlev/venv /opt/microlev/venv
# Numba uses a cache only where it may write.
COPY --from=build --chown=microlev:microlev /opt/microlev/loops /opt/microlev/loops
ENV PATH=/opt/microlev/venv/bin:$PATH \
    HOME=/home/microlev \
    XDG_STATE_HOME=/state \
    NUMBA_CACHE_DIR=/opt/microlev/loops \
    NUMBA_CPU_NAME=generic \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER microlev
WORKDIR /home/microlev
# The config, read only; what the bot must remember; the folder of the token file (0600), which a renewal writes.
VOLUME ["/config", "/state", "/home/microlev/.config/microlev"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=15s --start-period=90s --retries=3 \
    CMD ["microlev", "status", "/config/microlev.yaml", "--ready"]
ENTRYPOINT ["microlev"]
CMD ["run", "/config/microlev.yaml"]
