# The web page of `ferlib serve`, with the base install only: no TensorFlow.
#   docker build -t ferlib .
#   docker run --rm --read-only --tmpfs /tmp -p 127.0.0.1:8000:8000 ferlib     # http://127.0.0.1:8000
# README.md says what belongs in front of it before others may use it (https, limits, accounts).
FROM python:3.12-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE requirements.lock ./
COPY ferlib ferlib
COPY models/fer2013 models/fer2013
COPY models/ferplus models/ferplus
# the wheel, and the versions of requirements.lock without their hashes: the wheel itself has none
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /dist . \
    && sed -n 's/^\([a-z0-9][^ ]*==[^\\]*\).*/\1/p' requirements.lock > /dist/versions.txt

FROM python:3.12-slim-bookworm
# the shared libraries of OpenCV; Debian keeps only the newest version of each
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 libxcb1 \
    && rm -rf /var/lib/apt/lists/*
RUN --mount=type=bind,from=build,source=/dist,target=/dist \
    pip install --no-cache-dir --constraint /dist/versions.txt /dist/*.whl
WORKDIR /tmp
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["ferlib", "serve", "--host", "0.0.0.0"]
