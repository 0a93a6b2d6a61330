# A post or a centre: one process that is not root, its data in /data. `.ci/image` replays these steps without an engine.
FROM debian:12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv ca-certificates \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir uv==0.13.9
COPY .ci/runtime.lock /src/runtime.lock
RUN /opt/uv/bin/uv venv --python python3 /opt/chapar \
    && /opt/uv/bin/uv pip install --python /opt/chapar --compile-bytecode --require-hashes -r /src/runtime.lock
COPY . /src
RUN /opt/uv/bin/uv pip install --python /opt/chapar --compile-bytecode --no-deps /src

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends python3 ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 8383 --home-dir /data chapar && install -d -o chapar -m 700 /data
COPY --from=build /opt/chapar /opt/chapar
USER chapar
WORKDIR /data
ENV CHAPAR_DATA=/data CHAPAR_HOST=0.0.0.0 CHAPAR_PORT=8383 CHAPAR_LOG_FORMAT=json PATH=/opt/chapar/bin:$PATH
VOLUME /data
EXPOSE 8383
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
    CMD ["python3", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + (os.environ.get('CHAPAR_PORT') or '8383') + '/healthz', timeout=9)"]
CMD ["chapar", "serve"]
