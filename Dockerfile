# The service with the console and tracing, without the bundled PostgreSQL: docker build --tag stack-auth-consumer .
FROM python:3.13-slim-trixie AS build
WORKDIR /build
COPY requirements.lock ./
# Every file of the lock, by its hash. The bundled server's and the build's files are among them and stay in this stage.
RUN pip wheel --no-cache-dir --require-hashes --no-deps --wheel-dir /wheels --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY consumer consumer
COPY sql sql
# pip finds nothing but /wheels, so each version is the lock's.
# hadolint ignore=DL3013
RUN pip wheel --no-cache-dir --no-index --find-links /wheels --no-deps --wheel-dir /wheels . \
    && python -m venv --without-pip /app \
    && pip --python /app/bin/python install --no-cache-dir --no-index --find-links /wheels 'stack-auth-consumer[console,otel]'

FROM python:3.13-slim-trixie
LABEL org.opencontainers.image.title="stack-auth-consumer" \
    org.opencontainers.image.description="Stack Auth (Hexclave) webhooks into your own Postgres" \
    org.opencontainers.image.licenses="MIT"
COPY --from=build /app /app
# OPS_PORT is fixed because the health check asks it, in receiver and worker alike; the console needs a check of its own.
ENV PATH=/app/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OPS_PORT=8001
# A number, so that Kubernetes can tell that it is not root.
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8001/readyz', timeout=4)"]
ENTRYPOINT ["consumer"]
CMD ["serve", "--host", "0.0.0.0"]
