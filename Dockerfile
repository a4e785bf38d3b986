# Two images: `app`, the system under test, and `load`, which hammers it and judges what it did. Neither holds broken
# strategies or development tools, and both run as a user without rights.
FROM python:3.12-slim AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/srv
WORKDIR /srv
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes --requirement requirements.lock \
    && useradd --system --create-home --uid 10001 flashbench \
    && install --directory --owner flashbench /evidence /run/metrics

FROM base AS app
COPY target_app ./target_app
ENV PROMETHEUS_MULTIPROC_DIR=/run/metrics
USER flashbench
EXPOSE 8000
CMD ["uvicorn", "target_app.app:create_app", "--factory", "--host", "0.0.0.0", "--port", "8000", \
     "--workers", "2", "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--backlog", "4096"]

FROM base AS load
COPY target_app ./target_app
COPY flashbench ./flashbench
COPY reports ./reports
COPY locustfiles ./locustfiles
USER flashbench
VOLUME /evidence
EXPOSE 8089 5557
CMD ["locust", "--locustfile", "locustfiles/flash_sale.py", "--help"]
