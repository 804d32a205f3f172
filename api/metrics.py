"""What Prometheus can see of one process."""

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("dynamic_tables_http_requests", "HTTP requests.", ["method", "route", "status"])
SECONDS = Histogram(
    "dynamic_tables_http_request_seconds",
    "How long HTTP requests took.",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
HEAD = Gauge("dynamic_tables_event_store_position", "The last position of the event store.")
PROJECTED = Gauge(
    "dynamic_tables_projection_position", "The position that a projection reached.", ["projection"]
)
WAITING = Gauge(
    "dynamic_tables_audit_log_waiting_seconds", "Age of the oldest event whose head is not signed."
)
REFUSED = Gauge(
    "dynamic_tables_audit_log_refused",
    "Companies of whom no further head is signed: their log was altered.",
)
LAG = Gauge("dynamic_tables_projection_lag_events", "Events not projected yet.", ["projection"])
PARKED = Gauge("dynamic_tables_projection_parked", "Aggregates whose events wait.", ["projection"])
