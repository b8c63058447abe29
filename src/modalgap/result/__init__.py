"""What verbs return: values with their intervals, named or in a table."""

from modalgap.result.answer import Answer, parsed, versions
from modalgap.result.result import Result
from modalgap.result.table import Table
from modalgap.result.value import Value, reading

__all__ = ["Answer", "Result", "Table", "Value", "parsed", "reading", "versions"]
