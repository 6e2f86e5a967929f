// What a session holds, and the parameters that it is given.

#include "session.hpp"

#include "duckdb/main/attached_database.hpp"
#include "duckdb/main/client_data.hpp"
#include "duckdb/main/database_manager.hpp"
#include "duckdb/main/valid_checker.hpp"
#include "duckdb/parser/parsed_data/attach_info.hpp"
#include "duckdb/parser/statement/set_statement.hpp"

using namespace duckdb;
using namespace duckdb::capiv2;

namespace {

//! Rows of Arrow as a data chunk.
struct ImportedRows {
	ImportedRows(CV2Context &context, ArrowSchema *schema, ArrowArray *array) {
		duckdb_v2_error_info_handle err = nullptr;
		Check(duckdb_v2_arrow_importer_create(Convert(&context), schema, 0, &importer, &err), err);
		Check(duckdb_v2_arrow_importer_append(importer, array, true, true, &err), err);
		Check(duckdb_v2_arrow_importer_next_chunk(importer, &handle, &err), err);
		if (!handle) {
			Destroy();
			throw InvalidInputException("the parameters have no row");
		}
		chunk = Convert(handle);
	}
	~ImportedRows() {
		Destroy();
	}

	duckdb_v2_arrow_importer_handle importer = nullptr;
	duckdb_v2_data_chunk_handle handle = nullptr;
	DataChunk *chunk = nullptr;

private:
	void Destroy() {
		duckdb_v2_data_chunk_destroy(&handle);
		duckdb_v2_arrow_importer_destroy(&importer);
	}
	void Check(DUCKDB_V2_ERROR code, duckdb_v2_error_info_handle err) {
		if (code == DUCKDB_V2_ERROR_NONE) {
			return;
		}
		auto info = err ? *Convert(err) : CV2ErrorInfo();
		duckdb_v2_error_info_destroy(&err);
		Destroy();
		info.code = code;
		info.ThrowAsException();
	}
};

} // namespace

extern "C" {

//! What a session holds now.
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

//! Marks a connection as a client's, who is in `directory` (empty: it did not tell).
DUCKDB_V2_ERROR dbmux_session_mark(duckdb_v2_connection_handle conn, const duckdb_v2_str *directory,
                                   duckdb_v2_error_info_handle *err) {
	return WithErrorHandler(err, [&]() {
		auto &context = *Convert(conn)->context;
		auto state = duckdb::make_shared_ptr<dbmux::SessionState>(*context.db);
		state->directory = string(Convert(directory));
		context.registered_state->Insert(dbmux::SessionState::KEY, std::move(state));
		// How far a statement is can be asked; nothing is printed.
		context.config.enable_progress_bar = true;
		context.config.print_progress_bar = false;
		context.config.wait_time = 0;
	});
}

//! Makes a `SET` that says nothing of its scope this session's own, where the setting can be: what a process would do to
//! itself is not done to everybody.
DUCKDB_V2_ERROR dbmux_statement_prefer_session(duckdb_v2_connection_handle conn,
                                               duckdb_v2_sql_statement_handle statement,
                                               duckdb_v2_error_info_handle *err) {
	return WithErrorHandler(err, [&]() {
		auto &written = *Convert(statement);
		if (written.type != StatementType::SET_STATEMENT) {
			return;
		}
		auto &set = static_cast<SetStatement &>(written);
		if (set.scope != SetScope::AUTOMATIC) {
			return;
		}
		try {
			CV2OptionSource source(*Convert(conn)->context);
			if (CV2Option::FromName(source, set.name.GetIdentifierName())->supports_session) {
				set.scope = SetScope::SESSION;
			}
		} catch (const std::exception &) {
			// An extension's setting, not known yet: DuckDB decides.
		}
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

//! Attaches a database under a name that only this session knows. The caller sees to it that no two attach at once: the
//! name is everybody's for a moment.
DUCKDB_V2_ERROR dbmux_session_attach(duckdb_v2_connection_handle conn, const duckdb_v2_str *name,
                                     const duckdb_v2_str *path, bool read_only, duckdb_v2_error_info_handle *err) {
	return WithErrorHandler(err, [&]() {
		auto &context = *Convert(conn)->context;
		auto state = context.registered_state->Get<dbmux::SessionState>(dbmux::SessionState::KEY);
		context.RunFunctionInTransaction([&]() {
			AttachInfo info;
			info.name = Identifier(string(Convert(name)));
			info.path = string(Convert(path));
			info.options["type"] = Value("duckdb");
			info.options["read_only"] = Value::BOOLEAN(read_only);
			if (state->attached.find(info.name) != state->attached.end()) {
				throw BinderException("Failed to attach database: database with name %s already exists", info.name);
			}
			AttachOptions options(info.options, AccessMode::READ_WRITE);
			auto &manager = DatabaseManager::Get(context);
			auto database = manager.AttachDatabase(context, info, options);
			manager.DetachInternal(info.name);
			state->attached[info.name] = std::move(database);
		});
	});
}

//! Detaches what this session attached under a name, or all of it where there is no name.
DUCKDB_V2_ERROR dbmux_session_detach(duckdb_v2_connection_handle conn, const duckdb_v2_str *name,
                                     duckdb_v2_error_info_handle *err) {
	return WithErrorHandler(err, [&]() {
		auto &context = *Convert(conn)->context;
		auto state = context.registered_state->Get<dbmux::SessionState>(dbmux::SessionState::KEY);
		if (!name) {
			for (auto &entry : state->attached) {
				state->detached->Add(std::move(entry.second), false);
			}
			state->attached.clear();
			return;
		}
		Identifier wanted(string(Convert(name)));
		auto entry = state->attached.find(wanted);
		if (entry == state->attached.end()) {
			throw BinderException("Failed to detach database with name %s: database not found", wanted);
		}
		if (DatabaseManager::TryGetDefaultDatabase(context) == wanted) {
			throw BinderException("Cannot detach database %s because it is the default database. Select a different "
			                      "database using `USE` to allow detaching this database",
			                      wanted);
		}
		if (context.transaction.HasActiveTransaction()) {
			context.ActiveTransaction().DetachDatabase(*entry->second);
		}
		state->detached->Add(std::move(entry->second), false);
		state->attached.erase(entry);
	});
}

//! Imports an Arrow struct's rows: one value a column, row by row, by DuckDB's own rules for Arrow types.
DUCKDB_V2_ERROR dbmux_parameter_values(duckdb_v2_connection_handle conn, ArrowSchema *schema, ArrowArray *array,
                                       duckdb_v2_value_handle *values, duckdb_v2_error_info_handle *err) {
	return WithErrorHandler(err, [&]() {
		auto &connection = *Convert(conn);
		connection.context->RunFunctionInTransaction(
		    [&]() {
			    ImportedRows rows(connection.context_handle, schema, array);
			    auto columns = rows.chunk->ColumnCount();
			    for (idx_t row = 0; row < rows.chunk->size(); row++) {
				    for (idx_t column = 0; column < columns; column++) {
					    values[row * columns + column] = Convert(new Value(rows.chunk->GetValue(column, row)));
				    }
			    }
		    },
		    false);
	});
}

} // extern "C"
