// A copy of the database that answers in its stead, under its name.

#include "detached.hpp"
#include "session.hpp"

#include "duckdb/main/attached_database.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database_manager.hpp"
#include "duckdb/parser/parsed_data/attach_info.hpp"

using namespace duckdb;
using namespace duckdb::capiv2;

namespace {

//! `FinalizeAttach` puts a database in another one's place under one lock, so that no statement finds the name missing in
//! between; `ATTACH OR REPLACE`, which leads to it, refuses to put a read-only one in the place of one that is not. It is
//! private: naming it in an explicit instantiation is the one way that the language leaves open.
using FinalizeAttach = optional_ptr<AttachedDatabase> (DatabaseManager::*)(ClientContext &, AttachInfo &,
                                                                          shared_ptr<AttachedDatabase>);
template <FinalizeAttach METHOD>
struct Reach {
	friend FinalizeAttach ReachFinalizeAttach() {
		return METHOD;
	}
};
FinalizeAttach ReachFinalizeAttach();
template struct Reach<&DatabaseManager::FinalizeAttach>;

} // namespace

extern "C" {

//! Opens a database, and puts it in the place of the one that has the name, if there is one. Statements that have begun
//! go on with the former one (detached.hpp). `tracked`: its path is its own for as long
//! as it lives, as with every ATTACH. Tells by which number it is known.
DUCKDB_V2_ERROR dbmux_instance_replace(duckdb_v2_instance_handle instance, const duckdb_v2_str *name,
                                       const duckdb_v2_str *path, const duckdb_v2_str *storage_version, bool read_only,
                                       bool tracked, uint64_t *number, duckdb_v2_error_info_handle *err) {
	return WithErrorHandler(err, [&]() {
		auto &database = *Convert(instance)->GetDatabase().instance;
		auto detached = dbmux::Detached::Of(database);
		auto connection = Connection::CreateInternal(database);
		connection.BeginTransaction();
		try {
			auto &context = *connection.context;
			auto &manager = DatabaseManager::Get(context);
			AttachInfo info;
			info.name = Identifier(string(Convert(name)));
			info.path = string(Convert(path));
			info.on_conflict = OnCreateConflict::REPLACE_ON_CONFLICT;
			info.options["read_only"] = Value::BOOLEAN(read_only);
			auto version = string(Convert(storage_version));
			if (!version.empty()) {
				info.options["storage_version"] = Value(version);
			}
			AttachOptions options(info.options, AccessMode::READ_WRITE);
			if (tracked) {
				manager.InsertDatabasePath(info, options);
			}
			auto attached = database.CreateAttachedDatabase(context, info, options);
			attached->Initialize(context);
			attached->FinalizeLoad(context);
			auto former = manager.GetDatabase(info.name);
			auto finalized = (manager.*ReachFinalizeAttach())(context, info, attached);
			*number = finalized->oid;
			if (former) {
				auto is_file = !former->StoredPath().empty();
				detached->Add(std::move(former), is_file);
			}
			if (manager.GetDefaultDatabase().empty()) {
				manager.SetDefaultDatabase(info.name);
			}
		} catch (...) {
			connection.Rollback();
			throw;
		}
		connection.Commit();
	});
}

//! By which number the database is known that this connection's transaction means by a name; 0: it means none.
DUCKDB_V2_ERROR dbmux_session_source(duckdb_v2_connection_handle conn, const duckdb_v2_str *name, uint64_t *number,
                                     duckdb_v2_error_info_handle *err) {
	return WithErrorHandler(err, [&]() {
		auto &context = *Convert(conn)->context;
		*number = 0;
		if (!context.transaction.HasActiveTransaction()) {
			return;
		}
		auto used = context.transaction.ActiveTransaction().GetReferencedDatabase(Identifier(string(Convert(name))));
		if (used) {
			*number = used->oid;
		}
	});
}

//! Has this connection's transaction mean the copy that has the name now, to its end; where a copy has it.
DUCKDB_V2_ERROR dbmux_session_stay(duckdb_v2_connection_handle conn, const duckdb_v2_str *name,
                                   duckdb_v2_error_info_handle *err) {
	return WithErrorHandler(err, [&]() {
		auto &context = *Convert(conn)->context;
		if (!context.transaction.HasActiveTransaction()) {
			return;
		}
		auto database = DatabaseManager::Get(context).GetDatabase(Identifier(string(Convert(name))));
		if (database && database->StoredPath().empty()) {
			context.transaction.ActiveTransaction().UseDatabase(database);
		}
	});
}

//! Whether this connection's transaction means the file by the name, or may yet, or has begun in it all the same.
DUCKDB_V2_ERROR dbmux_session_in_file(duckdb_v2_connection_handle conn, const duckdb_v2_str *name, bool *in_file,
                                      duckdb_v2_error_info_handle *err) {
	return WithErrorHandler(err, [&]() {
		auto &context = *Convert(conn)->context;
		*in_file = false;
		if (!context.transaction.HasActiveTransaction()) {
			return;
		}
		auto &transaction = context.transaction.ActiveTransaction();
		Identifier wanted(string(Convert(name)));
		auto used = transaction.GetReferencedDatabase(wanted);
		*in_file = !used || !used->StoredPath().empty();
		for (auto &opened : transaction.OpenedTransactions()) {
			auto &database = opened.get();
			*in_file |= database.GetName() == wanted && !database.StoredPath().empty();
		}
	});
}

} // extern "C"
