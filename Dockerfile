# The web page of `ferlib serve`: docker build -t ferlib . && docker run --rm -p 127.0.0.1:8000:8000 ferlib
FROM python:3.12-slim

# opencv-python is linked against these
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 libxcb1 \
    && rm -rf /var/lib/apt/lists/*

COPY pyproject.toml README.md LICENSE /src/
COPY ferlib /src/ferlib
COPY models/fer2013 /src/models/fer2013
COPY models/ferplus /src/models/ferplus
RUN pip install --no-cache-dir /src && rm -rf /src

RUN useradd --create-home ferlib
USER ferlib
WORKDIR /home/ferlib

EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["ferlib", "serve", "--host", "0.0.0.0", "--port", "8000"]
