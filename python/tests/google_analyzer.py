"""Google's own SQL analyzer: what BigQuery would say about a statement, and nothing
run. The package zetasql carries it, the reference for GoogleSQL, as WebAssembly.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections.abc import Iterable, Mapping, Sequence
from unittest import mock

import wasmtime
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from zetasql.core import exceptions, wasm_client
from zetasql.types import LanguageFeature
from zetasql.wasi import get_wasm_path
from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2 as service
from zetasql.wasi._pb2.zetasql.proto import options_pb2, simple_catalog_pb2
from zetasql.wasi._pb2.zetasql.public.type_pb2 import TypeKind, TypeProto
from zetasql.wasi._pb2.zetasql.resolved_ast import resolved_ast_pb2

# What BigQuery has of GoogleSQL, as far as this project may want it. The rest is
# rejected, and so are the types of other products (float32, int32, uint64).
FEATURES = """
    ANALYTIC_FUNCTIONS NULL_HANDLING_MODIFIER_IN_ANALYTIC HAVING_IN_AGGREGATE
    NULL_HANDLING_MODIFIER_IN_AGGREGATE ORDER_BY_IN_AGGREGATE LIMIT_IN_AGGREGATE
    QUALIFY GROUP_BY_ALL IS_DISTINCT NULLS_FIRST_LAST_IN_ORDER_BY WITH_ON_SUBQUERY
    SELECT_STAR_EXCEPT_REPLACE NAMED_ARGUMENTS SAFE_FUNCTION_CALL FORMAT_IN_CAST
    NUMERIC_TYPE BIGNUMERIC_TYPE DECIMAL_ALIAS JSON_TYPE INTERVAL_TYPE CIVIL_TIME
    PARAMETERIZED_TYPES DISABLE_FLOAT32 CONCAT_MIXED_TYPES ADDITIONAL_STRING_FUNCTIONS
    ALLOW_REGEXP_EXTRACT_OPTIONALS ROUND_WITH_ROUNDING_MODE DATE_ARITHMETICS
    DATE_TIME_CONSTRUCTORS EXTENDED_DATE_TIME_SIGNATURES WEEK_WITH_WEEKDAY
    JSON_VALUE_EXTRACTION_FUNCTIONS JSON_ARRAY_FUNCTIONS ALLOW_DASHES_IN_TABLE_NAME
    CREATE_TABLE_NOT_NULL CREATE_TABLE_FIELD_ANNOTATIONS CREATE_TABLE_PARTITION_BY
    CREATE_TABLE_CLUSTER_BY CREATE_TABLE_AS_SELECT_COLUMN_LIST UNENFORCED_PRIMARY_KEYS
    DML_UPDATE_WITH_JOIN
"""
INT64_ALIASES = ("INT", "INTEGER", "BIGINT", "SMALLINT", "TINYINT", "BYTEINT")
LANGUAGE = options_pb2.LanguageOptionsProto(
    product_mode="PRODUCT_EXTERNAL",
    reserved_keywords=["QUALIFY"],
    enabled_language_features=[
        LanguageFeature[f"FEATURE_{name}"].value for name in FEATURES.split()
    ],
)
# where an answer to `create table as` has the columns
COLUMNS_OF_TABLE = (
    "resolved_statement",
    "resolved_create_statement_node",
    "resolved_create_table_stmt_base_node",
    "resolved_create_table_as_select_stmt_node",
    "output_column_list",
)


class Rejected(Exception):
    """The analyzer does not accept a statement: why, and [at line:column]."""


class Analyzer:
    """The analyzer with a catalogue of relations, each of named and typed columns."""

    def __init__(self) -> None:
        self._relations: dict[str, dict[str, TypeProto]] = {}
        self._catalogue: int | None = None

    def add(self, relation: str, select: str) -> dict[str, str]:
        """Analyse the select that makes a relation; return its columns with types.

        It is the body of a table, so every column has a name, and one of its own.
        """
        self._relations[relation.replace("`", "")] = self._columns_of(relation, select)
        if self._catalogue is not None:
            old = service.UnregisterRequest(registered_id=self._catalogue)
            _call("UnregisterCatalog", old)
            self._catalogue = None
        return self.columns(relation)

    def add_table(self, relation: str, columns: Mapping[str, str]) -> dict[str, str]:
        """Add a relation by its columns, with types as BigQuery spells them."""
        return self.add(relation, _nulls(columns))

    def without(self, *relations: str) -> Analyzer:
        """Another analyzer that knows the same relations, but not these."""
        other = Analyzer()
        gone = {relation.replace("`", "") for relation in relations}
        kept = {name: of for name, of in self._relations.items() if name not in gone}
        other._relations.update(kept)
        return other

    def columns(self, relation: str) -> dict[str, str]:
        """The columns of a relation with their types; none when it was never added."""
        found = self._relations.get(relation.replace("`", ""), {})
        return {name: _name_of(type_) for name, type_ in found.items()}

    def check(self, sql: str, parameters: Sequence[str] = ()) -> None:
        """Analyse one statement of any kind; parameters: the types of its `?`."""
        types = {f"p{i}": type_ for i, type_ in enumerate(parameters)}
        found = self._columns_of("parameters", _nulls(types)) if types else {}
        self._analyse(sql, found.values())

    def _columns_of(self, relation: str, select: str) -> dict[str, TypeProto]:
        answer = self._analyse(f"create table {relation} as ({select}\n)")
        read = resolved_ast_pb2.ResolvedOutputColumnProto.FromString
        columns = [read(column) for column in _inside(answer, *COLUMNS_OF_TABLE)]
        return {column.name: column.column.type for column in columns}

    def _analyse(self, sql: str, parameters: Iterable[TypeProto] = ()) -> bytes:
        if self._catalogue is None:
            self._catalogue = self._register()
        options = options_pb2.AnalyzerOptionsProto(
            language_options=LANGUAGE,
            error_message_mode="ERROR_MESSAGE_ONE_LINE",
            prune_unused_columns=True,
            parameter_mode="PARAMETER_POSITIONAL",
            positional_query_parameters=parameters,
        )
        request = service.AnalyzeRequest(
            sql_statement=sql, options=options, registered_catalog_id=self._catalogue
        )
        return _call("Analyze", request)

    def _register(self) -> int:
        root = simple_catalog_pb2.SimpleCatalogProto()
        root.builtin_function_options.language_options.CopyFrom(LANGUAGE)
        for alias in INT64_ALIASES:
            root.named_type.add(name=alias, type=TypeProto(type_kind="TYPE_INT64"))
        for relation, columns in self._relations.items():
            *folders, name = relation.split(".")
            folder = root
            for part in folders:
                known = [one for one in folder.catalog if one.name == part]
                folder = known[0] if known else folder.catalog.add(name=part)
            # `a`.`b`.`c` is a path; BigQuery takes `a.b.c`, one name, as well
            tables = [folder.table.add(name=name)]
            if folders:
                tables.append(root.table.add(name=relation))
            for table in tables:
                for column, type_ in columns.items():
                    table.column.add(name=column, type=type_, is_writable_column=True)
        request = service.RegisterCatalogRequest(simple_catalog=root)
        answer = _call("RegisterCatalog", request)
        return service.RegisterResponse.FromString(answer).registered_id


class _Client(wasm_client.WasmClient):
    """Copies memory in blocks: byte by byte, a large answer takes a second."""

    def write_bytes(self, ptr: int, data: bytes) -> None:
        ctypes.memmove(self._address() + ptr, data, len(data))

    def read_bytes(self, ptr: int, size: int) -> bytes:
        return ctypes.string_at(self._address() + ptr, size)

    def _address(self) -> int:
        return ctypes.addressof(self.memory.data_ptr().contents)


@functools.cache
def _client() -> _Client:
    # wasmtime keeps the compiled code for the next process: 30 CPU seconds less
    def caching() -> wasmtime.Config:
        config = wasmtime.Config()
        with contextlib.suppress(wasmtime.WasmtimeError):  # no folder to keep it in
            config.cache = True
        return config

    with mock.patch.object(wasm_client, "Config", caching):
        return _Client(get_wasm_path())


def _call(method: str, request: Message) -> bytes:
    name, content = f"ZetaSqlLocalService_{method}", request.SerializeToString()
    try:
        return _client()._call_grpc_method(name, content)
    except exceptions.ServerError as error:
        raise Rejected(error.raw_error.partition("Message: ")[2]) from None


def _inside(answer: bytes, *names: str) -> list[bytes]:
    """Nested fields of an AnalyzeResponse.

    Its tree of expressions may be deeper than protobuf reads; this passes it by.
    """
    found, message = [answer], service.AnalyzeResponse.DESCRIPTOR
    for name in names:
        field = message.fields_by_name[name]
        found = [
            unknown.data
            for one in found
            for unknown in UnknownFieldSet(Empty.FromString(one))
            if unknown.field_number == field.number
        ]
        message = field.message_type
    return found


def _nulls(types: Mapping[str, str]) -> str:
    nulls = [f"cast(null as {type_}) as `{name}`" for name, type_ in types.items()]
    return "select " + ", ".join(nulls)


def _name_of(type_: TypeProto) -> str:
    if type_.HasField("array_type"):
        return f"ARRAY<{_name_of(type_.array_type.element_type)}>"
    name = TypeKind.Name(type_.type_kind).removeprefix("TYPE_")
    return "FLOAT64" if name == "DOUBLE" else name
