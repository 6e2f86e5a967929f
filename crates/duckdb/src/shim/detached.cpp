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
	auto registered = std::make_shared<Registered>(transaction);
	std::lock_guard<std::mutex> guard(transactions_lock);
	transactions.push_back(std::move(registered));
}

void Detached::End(MetaTransaction &transaction) {
	std::shared_ptr<Registered> ended;
	{
		std::lock_guard<std::mutex> guard(transactions_lock);
		auto is_it = [&](const std::shared_ptr<Registered> &one) { return one->transaction == &transaction; };
		auto found = std::find_if(transactions.begin(), transactions.end(), is_it);
		if (found == transactions.end()) {
			return;
		}
		ended = std::move(*found);
		transactions.erase(found);
	}
	std::lock_guard<std::mutex> guard(ended->lock);
	ended->transaction = nullptr;
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
	std::vector<std::shared_ptr<Registered>> present;
	{
		std::lock_guard<std::mutex> guard(transactions_lock);
		present = transactions;
	}
	return std::any_of(present.begin(), present.end(), [&](const std::shared_ptr<Registered> &one) {
		std::lock_guard<std::mutex> guard(one->lock);
		return one->transaction && one->transaction->TryGetTransaction(*entry.database);
	});
}

void Detached::CloseUnused(bool wait, Left &left) {
	ErrorData error;
	do {
		std::unique_lock<std::mutex> guard(entries_lock, std::defer_lock);
		if (wait) {
			guard.lock();
		} else if (!guard.try_lock()) {
			again = true;
			// It has gone meanwhile, and may not have seen that.
			if (!guard.try_lock()) {
				left = {true, true};
				break;
			}
		}
		again = false;
		try {
			CloseUnused(left);
		} catch (std::exception &failure) {
			error = ErrorData(failure);
		}
	} while (again);
	if (error.HasError()) {
		error.Throw();
	}
}

void Detached::CloseUnused(Left &left) {
	auto unused = std::stable_partition(entries.begin(), entries.end(), [&](const Entry &entry) { return IsUsed(entry); });
	vector<Entry> closing(std::make_move_iterator(unused), std::make_move_iterator(entries.end()));
	entries.erase(unused, entries.end());
	auto is_file = [](const Entry &entry) { return entry.is_file; };
	left = {std::any_of(entries.begin(), entries.end(), is_file), !entries.empty()};
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

//! Detaches the database of this name, whoever has it as default.
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
	});
}

//! Closes what was detached and is not used any more. Where another thread is at it, waits for that, or leaves it to that
//! one. Tells whether the instance's file is used still, and whether anything is.
DUCKDB_V2_ERROR dbmux_instance_close_unused(duckdb_v2_instance_handle instance, bool wait, bool *file, bool *any,
                                            duckdb_v2_error_info_handle *err) {
	return WithErrorHandler(err, [&]() {
		dbmux::Detached::Left left = {true, true};
		auto tell = [&]() {
			*file = left.file;
			*any = left.any;
		};
		try {
			dbmux::Detached::Of(*Convert(instance)->GetDatabase().instance)->CloseUnused(wait, left);
		} catch (...) {
			tell();
			throw;
		}
		tell();
	});
}

} // extern "C"
