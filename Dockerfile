# A post or a small centre: one process, its data in /data. The same steps run without Docker on Debian 12.
FROM debian:12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv make ca-certificates \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN python3 -m venv /opt/chapar \
    && /opt/chapar/bin/pip install --no-cache-dir --require-hashes -r .ci/runtime.lock \
    && /opt/chapar/bin/pip install --no-cache-dir --no-deps .

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --home-dir /data chapar && install -d -o chapar -m 700 /data
COPY --from=build /opt/chapar /opt/chapar
USER chapar
ENV CHAPAR_DATA=/data CHAPAR_HOST=0.0.0.0 PATH=/opt/chapar/bin:$PATH
VOLUME /data
EXPOSE 8383
STOPSIGNAL SIGTERM
CMD ["chapar", "serve"]
