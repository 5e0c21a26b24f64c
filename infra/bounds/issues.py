"""The runs of each issue."""

from infra.bounds import agent, first_page, ingestion, main_job, tables
from infra.bounds.model import Run

ISSUES: dict[str, tuple[Run, ...]] = {
    "main-job": main_job.RUNS,
    "first-page": first_page.RUNS,
    "ingestion": ingestion.RUNS,
    "silver-and-gold": tables.RUNS,
    "agent": agent.RUNS,
}
"""In the order in which they are measured."""
