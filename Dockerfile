# modalgap with all extras, in versions that are pinned by hash.
#   docker build -t modalgap .
#   docker run --rm --user "$(id -u):$(id -g)" -v modalgap-cache:/cache -v "$PWD:/data" \
#       modalgap measure pair.safetensors
FROM python:3.12-slim

COPY requirements.lock /build/
RUN pip install --no-cache-dir --require-hashes -r /build/requirements.lock
COPY pyproject.toml README.md LICENSE /build/
COPY src /build/src
RUN pip install --no-cache-dir --no-deps --no-build-isolation /build

# models are cached in /cache, and any user may write there
ENV HF_HOME=/cache/huggingface XDG_CACHE_HOME=/cache
RUN mkdir -m 777 /cache /data
VOLUME /cache
WORKDIR /data
ENTRYPOINT ["modalgap"]
CMD ["--help"]
