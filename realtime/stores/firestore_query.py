"""A query of the port as Firestore's structured query."""

from __future__ import annotations

from typing import Any

from google.cloud.firestore_v1.types import StructuredQuery

from realtime.stores.firestore_codec import encode_field
from realtime.stores.port import Query

_Operator = StructuredQuery.FieldFilter.Operator
_OPERATORS = {
    "==": _Operator.EQUAL,
    "<": _Operator.LESS_THAN,
    "<=": _Operator.LESS_THAN_OR_EQUAL,
    ">": _Operator.GREATER_THAN,
    ">=": _Operator.GREATER_THAN_OR_EQUAL,
}


def fill_query(query: Query, collection: str, into: Any, *, root: str) -> None:
    """Fill the protocol buffer `StructuredQuery` for `collection`, the last part of the query's collection; `root` is
    what stands before a document's path in its name.
    Raises ValueError for an operator that is none."""
    into.from_.add().collection_id = collection
    conditions = list(query.where)
    if query.order_by is not None and query.after is not None:
        conditions.append((query.order_by, "<" if query.descending else ">", query.after))
    if conditions:
        into.where.composite_filter.op = StructuredQuery.CompositeFilter.Operator.AND
    for name, operator, value in conditions:
        _fill_filter(name, operator, value, into.where.composite_filter.filters.add())
    if query.order_by is not None:
        order = into.order_by.add()
        order.field.field_path = _field(query.order_by)
        order.direction = (
            StructuredQuery.Direction.DESCENDING if query.descending else StructuredQuery.Direction.ASCENDING
        )
    elif query.after is not None:
        _fill_start(query, root, into)
    into.limit.value = query.limit


def _fill_start(query: Query, root: str, into: Any) -> None:
    """Behind a document, in the order of names: that needs no composite index beside filters for equality."""
    order = into.order_by.add()
    order.field.field_path = "__name__"
    order.direction = StructuredQuery.Direction.DESCENDING if query.descending else StructuredQuery.Direction.ASCENDING
    into.start_at.values.add().reference_value = root + query.after
    into.start_at.before = False


def _fill_filter(name: str, operator: str, value: Any, into: Any) -> None:
    if operator not in _OPERATORS:
        raise ValueError(f"{operator!r} is not an operator of a query")
    if value is None:
        into.unary_filter.field.field_path = _field(name)
        into.unary_filter.op = StructuredQuery.UnaryFilter.Operator.IS_NULL
        return
    into.field_filter.field.field_path = _field(name)
    into.field_filter.op = _OPERATORS[operator]
    encode_field(name, value, into.field_filter.value)


def _field(name: str) -> str:
    """The name quoted, as a path of one part."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
