#include "detached.hpp"

#include "duckdb/main/capi_v2/capi_v2_internal.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database_manager.hpp"

#include <algorithm>

using namespace duckdb;
using namespace duckdb::capiv2;

namespace dbmux {

shared_ptr<Detached> Detached::Of(DatabaseInstance &instance) {
	return instance.GetObjectCache().GetOrCreate<Detached>(ObjectType());
}

void Detached::Begin(MetaTransaction &transaction) {
	std::lock_guard<std::mutex> guard(transactions_lock);
	transactions.push_back(&transaction);
}

void Detached::End(MetaTransaction &transaction) {
	std::lock_guard<std::mutex> guard(transactions_lock);
	auto last = std::remove(transactions.begin(), transactions.end(), &transaction);
	transactions.erase(last, transactions.end());
}

void Detached::Add(shared_ptr<AttachedDatabase> database, bool is_file) {
	std::lock_guard<std::mutex> guard(entries_lock);
	entries.push_back({std::move(database), is_file});
}

bool Detached::IsUsed(const Entry &entry) {
	// In this order: who has no reference can begin no transaction in it any more.
	if (entry.database.use_count() != 1) {
		return true;
	}
	std::lock_guard<std::mutex> guard(transactions_lock);
	return std::any_of(transactions.begin(), transactions.end(), [&](MetaTransaction *transaction) {
		return transaction->TryGetTransaction(*entry.database) != nullptr;
	});
}

void Detached::CloseUnused(bool *file_is_used) {
	std::lock_guard<std::mutex> guard(entries_lock);
	auto unused = std::stable_partition(entries.begin(), entries.end(), [&](const Entry &entry) { return IsUsed(entry); });
	vector<Entry> closing(std::make_move_iterator(unused), std::make_move_iterator(entries.end()));
	entries.erase(unused, entries.end());
	if (file_is_used) {
		*file_is_used = std::any_of(entries.begin(), entries.end(), [](const Entry &entry) { return entry.is_file; });
	}
	ErrorData error;
	for (auto &entry : closing) {
		try {
			entry.database->Close(DatabaseCloseAction::CHECKPOINT);
		} catch (std::exception &failure) {
			// It is closed nevertheless.
			error = ErrorData(failure);
		}
		entry.database.reset();
	}
	if (error.HasError()) {
		error.Throw();
	}
}

} // namespace dbmux

extern "C" {

//! Detaches the database of this name, whoever has it as default, and closes it, unless somebody uses it still.
DUCKDB_V2_ERROR dbmux_instance_detach(duckdb_v2_instance_handle instance, const duckdb_v2_str *name,
                                      duckdb_v2_error_info_handle *err) {
	return WithErrorHandler(err, [&]() {
		auto &database = *Convert(instance)->GetDatabase().instance;
		auto detached = dbmux::Detached::Of(database);
		auto connection = Connection::CreateInternal(database);
		connection.BeginTransaction();
		try {
			auto &context = *connection.context;
			auto &manager = DatabaseManager::Get(context);
			Identifier wanted(string(Convert(name)));
			auto former = manager.GetDatabase(wanted);
			manager.DetachDatabase(context, wanted, OnEntryNotFound::THROW_EXCEPTION, true);
			auto is_file = !former->StoredPath().empty();
			detached->Add(std::move(former), is_file);
		} catch (...) {
			connection.Rollback();
			throw;
		}
		connection.Commit();
		detached->CloseUnused();
	});
}

//! Closes what was detached and is not used any more. Tells whether the instance's file is used still.
DUCKDB_V2_ERROR dbmux_instance_close_unused(duckdb_v2_instance_handle instance, bool *file_is_used,
                                            duckdb_v2_error_info_handle *err) {
	return WithErrorHandler(err, [&]() {
		dbmux::Detached::Of(*Convert(instance)->GetDatabase().instance)->CloseUnused(file_is_used);
	});
}

} // extern "C"
