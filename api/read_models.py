"""What is projected: the read models that answers are made from, and what acts on events."""

from application.cascade import Cascade
from projections.base import Projection
from projections.history import HistoryProjection
from projections.table_defs import TableDefsProjection
from projections.tenancy import TenancyProjection

READ_MODELS: tuple[Projection, ...] = (
    TableDefsProjection(),
    TenancyProjection(),
    HistoryProjection(),
)
PROJECTIONS: tuple[Projection | type[Projection], ...] = (*READ_MODELS, Cascade)
