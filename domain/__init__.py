"""What is true: the aggregates and their events. Pure; no I/O, no clock.

Every module with event topics is imported here, so that a process that has only just started can
read every event.
"""

from domain import company as company
from domain import table_def as table_def
from domain import workspace as workspace
