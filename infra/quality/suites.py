"""Contracts and rules as Great Expectations suites, and what a suite finds.

Importing this module imports Great Expectations, which takes seconds: it is imported
where rows are validated and nowhere else. It sends nothing to anybody.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import singledispatch
from typing import Any

# Before the import, which may read it. Some releases tell their maker of every use.
os.environ["GX_ANALYTICS_ENABLED"] = "false"

import great_expectations as gx
import pandas as pd
from great_expectations import expectations as gxe
from great_expectations.core import RunIdentifier
from great_expectations.core.expectation_validation_result import (
    ExpectationSuiteValidationResult,
    ExpectationValidationResult,
)
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.datasource.fluent.interfaces import Batch
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.expectation_configuration import (
    ExpectationConfiguration,
)
from great_expectations.expectations.metadata_types import FailureSeverity
from great_expectations.render.renderer import ValidationResultsPageRenderer
from great_expectations.render.view import DefaultJinjaPageView

from conf.lake.tables import TableContract
from infra.quality.rules import OneOf, Ordered, Rule, Within

_EXAMPLES = 5


@dataclass(frozen=True)
class Finding:
    """What one rule found in some rows.

    Attributes:
        rule: In words.
        success: It holds.
        severity: critical or warning.
        expectation: Type of the expectation.
        rows_checked: How many rows there were.
        rows_failed: How many break it; None if it holds, or could not be checked.
        examples: JSON list of at most five of them: the key and the values.
        error: Why it could not be checked.
    """

    rule: str
    success: bool
    severity: str
    expectation: str
    rows_checked: int
    rows_failed: int | None = None
    examples: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class Suite:
    """Expectations of one kind of rows, and the key that names a row in examples."""

    name: str
    key: tuple[str, ...]
    expectations: gx.ExpectationSuite

    def validate(
        self, rows: pd.DataFrame
    ) -> tuple[list[Finding], ExpectationSuiteValidationResult]:
        """Check rows; return the findings, and the result for the Data Docs.

        A first pass only asks which expectations hold, which is five times cheaper
        than counting; what does not hold is looked at again.
        """
        batch = _batch(self.name, rows)
        result = batch.validate(self.expectations, result_format="BOOLEAN_ONLY")
        result.results = [
            found if found.success else self._counted(batch, found)
            for found in result.results
        ]
        return [_finding(found, len(rows)) for found in result.results], result

    def _counted(
        self, batch: Batch, found: ExpectationValidationResult
    ) -> ExpectationValidationResult:
        return batch.validate(
            _config(found).to_domain_obj(),
            result_format={
                "result_format": "SUMMARY",
                "partial_unexpected_count": _EXAMPLES,
                "unexpected_index_column_names": list(self.key),
            },
        )


def suite_of(contract: TableContract, rules: Iterable[Rule]) -> Suite:
    """Return what a contract promises and the rules that its columns are held to."""
    expected: list[Expectation] = [
        gxe.ExpectColumnValuesToNotBeNull(
            column=column.name, description=f"{column.name} is not null"
        )
        for column in contract.columns
        if not column.nullable
    ]
    expected.append(_unique(contract.key))
    expected += [expectation(rule) for rule in rules]
    return suite(contract.name, contract.key, expected)


def suite(name: str, key: tuple[str, ...], expected: Sequence[Expectation]) -> Suite:
    """Return a suite of expectations."""
    return Suite(name, key, gx.ExpectationSuite(name=name, expectations=list(expected)))


def balance_suite(name: str, key: tuple[str, ...]) -> Suite:
    """Return what must hold for the rows of ``Balance.records``."""
    equal = gxe.ExpectColumnPairValuesToBeEqual(
        column_A="messages",
        column_B="accounted",
        description="messages = rows in silver + rejects + copies",
    )
    return suite(name, key, [equal])


def render(document: ExpectationSuiteValidationResult, name: str, now: datetime) -> str:
    """Return the page of Data Docs on one result, as Great Expectations makes it."""
    document.meta["run_id"] = RunIdentifier(run_name=name, run_time=now)
    page = ValidationResultsPageRenderer(run_info_at_end=True).render(document)
    return str(DefaultJinjaPageView().render(page))  # type: ignore[no-untyped-call]


def _unique(key: tuple[str, ...]) -> Expectation:
    says = f"({', '.join(key)}) names one row"
    if len(key) == 1:
        return gxe.ExpectColumnValuesToBeUnique(column=key[0], description=says)
    return gxe.ExpectCompoundColumnsToBeUnique(column_list=list(key), description=says)


@singledispatch
def expectation(rule: Rule) -> Expectation:
    """Return the expectation that a rule is."""
    raise TypeError(f"{rule} is no rule")


@expectation.register
def _(rule: Within) -> Expectation:
    return gxe.ExpectColumnValuesToBeBetween(
        column=rule.name,
        min_value=rule.least,
        max_value=rule.most,
        strict_min=rule.strictly,
        mostly=rule.share,
        severity=FailureSeverity(rule.severity),
        description=rule.says,
    )


@expectation.register
def _(rule: Ordered) -> Expectation:
    return gxe.ExpectColumnPairValuesAToBeGreaterThanB(
        column_A=rule.larger,
        column_B=rule.smaller,
        or_equal=not rule.strictly,
        ignore_row_if="either_value_is_missing",
        severity=FailureSeverity(rule.severity),
        description=rule.says,
    )


@expectation.register
def _(rule: OneOf) -> Expectation:
    return gxe.ExpectColumnValuesToBeInSet(
        column=rule.column,
        value_set=list(rule.values),
        severity=FailureSeverity(rule.severity),
        description=rule.says,
    )


def _batch(name: str, rows: pd.DataFrame) -> Batch:
    # A context of its own lets go of the rows; the default one makes a folder for docs.
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    asset = context.data_sources.add_pandas("lake").add_dataframe_asset(name)
    slices = asset.add_batch_definition_whole_dataframe("slice")
    return slices.get_batch(batch_parameters={"dataframe": rows})


def _finding(found: ExpectationValidationResult, rows: int) -> Finding:
    config = _config(found)
    counted = {} if found.success else found.result
    return Finding(
        rule=str(config.description),
        success=bool(found.success),
        severity=str(config.severity.value),
        expectation=config.type,
        rows_checked=rows,
        rows_failed=counted.get("unexpected_count"),
        examples=_examples(counted),
        error=_error(found),
    )


def _config(found: ExpectationValidationResult) -> ExpectationConfiguration:
    if found.expectation_config is None:
        raise TypeError("a result without its expectation")
    return found.expectation_config


def _examples(counted: dict[str, Any]) -> str | None:
    rows = counted.get("partial_unexpected_index_list")
    return json.dumps(rows, default=str) if rows else None


def _error(found: ExpectationValidationResult) -> str | None:
    """Return why an expectation could not be checked: a metric raised."""
    told = found.exception_info or {}
    errors = [told, *(each for each in told.values() if isinstance(each, dict))]
    messages = [each.get("exception_message") for each in errors]
    return next((str(message)[:500] for message in messages if message), None)
