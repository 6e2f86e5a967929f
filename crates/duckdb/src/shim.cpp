// What DuckDB's C API does not tell: what a statement would change, what a session holds, and who opens which file.
//
// It is compiled against the very sources that are linked (their include directory comes from libduckdb-sys), and uses
// public C++ classes only. Everything crosses as plain C; no exception leaves this file.

#include "duckdb/main/capi_v2/capi_v2_internal.hpp"

#include "duckdb/common/arrow/arrow_converter.hpp"
#include "duckdb/main/client_data.hpp"
#include "duckdb/main/valid_checker.hpp"

using namespace duckdb;
using namespace duckdb::capiv2;

namespace {

//! Parameters whose type nothing tells are NULLs in Arrow.
LogicalType TypeOrNull(const LogicalType &type) {
	return type.id() == LogicalTypeId::UNKNOWN || type.id() == LogicalTypeId::INVALID ? LogicalType(LogicalTypeId::SQLNULL)
	                                                                                  : type;
}

//! One row of Arrow as a data chunk.
struct ImportedRow {
	ImportedRow(CV2Context &context, ArrowSchema *schema, ArrowArray *array) {
		duckdb_v2_error_info_handle err = nullptr;
		Check(duckdb_v2_arrow_importer_create(Convert(&context), schema, 0, &importer, &err), err);
		Check(duckdb_v2_arrow_importer_append(importer, array, true, true, &err), err);
		Check(duckdb_v2_arrow_importer_next_chunk(importer, &handle, &err), err);
		if (!handle) {
			throw InvalidInputException("the parameters have no row");
		}
		chunk = Convert(handle);
	}
	~ImportedRow() {
		duckdb_v2_data_chunk_destroy(&handle);
		duckdb_v2_arrow_importer_destroy(&importer);
	}

	duckdb_v2_arrow_importer_handle importer = nullptr;
	duckdb_v2_data_chunk_handle handle = nullptr;
	DataChunk *chunk = nullptr;

private:
	void Check(DUCKDB_V2_ERROR code, duckdb_v2_error_info_handle err) {
		if (code == DUCKDB_V2_ERROR_NONE) {
			return;
		}
		auto info = err ? *Convert(err) : CV2ErrorInfo();
		duckdb_v2_error_info_destroy(&err);
		duckdb_v2_data_chunk_destroy(&handle);
		duckdb_v2_arrow_importer_destroy(&importer);
		info.code = code;
		info.ThrowAsException();
	}
};

} // namespace

extern "C" {

//! A statement's signature, beside its two schemas.
struct dbmux_signature {
	//! StatementReturnType.
	uint8_t returns;
	//! It expands into several statements: its schema is known only when it runs.
	bool deferred;
	//! It changes a database: data, catalog or sequences.
	bool modifies;
};

//! Binds a statement without running it.
DUCKDB_V2_ERROR dbmux_statement_signature(duckdb_v2_connection_handle conn, duckdb_v2_sql_statement_handle statement,
                                          ArrowSchema *columns, ArrowSchema *parameters, dbmux_signature *out,
                                          duckdb_v2_error_info_handle *err) {
	columns->release = nullptr;
	parameters->release = nullptr;
	return WithErrorHandler(err, [&]() {
		auto &context = *Convert(conn)->context;
		auto signature = context.BindStatement(Convert(statement)->Copy());
		out->returns = static_cast<uint8_t>(signature.properties.return_type);
		out->deferred = signature.metadata_deferred;
		out->modifies = !signature.properties.IsReadOnly();
		if (signature.metadata_deferred) {
			return;
		}
		std::sort(signature.parameters.begin(), signature.parameters.end(),
		          [](const StatementParameter &a, const StatementParameter &b) { return a.index < b.index; });
		duckdb::vector<LogicalType> parameter_types;
		duckdb::vector<string> parameter_names;
		for (auto &parameter : signature.parameters) {
			parameter_types.push_back(TypeOrNull(parameter.type));
			parameter_names.push_back(parameter.identifier.GetIdentifierName());
		}
		duckdb::vector<string> names;
		for (auto &name : signature.names) {
			names.push_back(name.GetIdentifierName());
		}
		context.RunFunctionInTransaction(
		    [&]() {
			    auto properties = context.GetClientProperties();
			    if (out->returns == static_cast<uint8_t>(StatementReturnType::QUERY_RESULT)) {
				    ArrowConverter::ToArrowSchema(columns, signature.types, names, properties);
			    }
			    if (!parameter_types.empty()) {
				    ArrowConverter::ToArrowSchema(parameters, parameter_types, parameter_names, properties);
			    }
		    },
		    false);
	});
}

//! What a session holds.
struct dbmux_session_facts {
	bool in_transaction;
	bool transaction_failed;
};

DUCKDB_V2_ERROR dbmux_session_facts_get(duckdb_v2_connection_handle conn, dbmux_session_facts *out,
                                        duckdb_v2_error_info_handle *err) {
	return WithErrorHandler(err, [&]() {
		auto &context = *Convert(conn)->context;
		out->in_transaction = !context.transaction.IsAutoCommit() && context.transaction.HasActiveTransaction();
		out->transaction_failed =
		    out->in_transaction && ValidChecker::IsInvalidated(context.transaction.ActiveTransaction());
	});
}

//! Makes `name` what unqualified names of this connection mean, whether it is attached now or not.
DUCKDB_V2_ERROR dbmux_session_set_default(duckdb_v2_connection_handle conn, const duckdb_v2_str *name,
                                          duckdb_v2_error_info_handle *err) {
	return WithErrorHandler(err, [&]() {
		auto &context = *Convert(conn)->context;
		ClientData::Get(context).default_database = Identifier(string(Convert(name)));
	});
}

//! Imports a one-row Arrow struct: one value a column, by DuckDB's own rules for Arrow types.
DUCKDB_V2_ERROR dbmux_parameter_values(duckdb_v2_connection_handle conn, ArrowSchema *schema, ArrowArray *array,
                                       duckdb_v2_value_handle *values, duckdb_v2_error_info_handle *err) {
	return WithErrorHandler(err, [&]() {
		auto &connection = *Convert(conn);
		connection.context->RunFunctionInTransaction(
		    [&]() {
			    ImportedRow row(connection.context_handle, schema, array);
			    for (idx_t i = 0; i < row.chunk->ColumnCount(); i++) {
				    values[i] = Convert(new Value(row.chunk->GetValue(i, 0)));
			    }
		    },
		    false);
	});
}

} // extern "C"
