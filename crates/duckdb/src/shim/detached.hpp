// Databases that were detached, or that another one has replaced, until nobody uses them.

#pragma once

#include "duckdb/main/attached_database.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/storage/object_cache.hpp"
#include "duckdb/transaction/meta_transaction.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace dbmux {

//! Of one instance.
//!
//! DuckDB 2.0 closes a database with the last reference to it, and does not count all: a transaction that has used the
//! former database of a name, and comes upon the present one (`duckdb_tables()` looks at whatever is attached), begins in
//! it, and only then fails, because the name is taken (`MetaTransaction::GetTransaction`, `UseDatabase`). Its rollback
//! would go to a database that may be gone by then. So each is kept here until no client's transaction is in it.
class Detached : public duckdb::ObjectCacheEntry {
public:
	static duckdb::shared_ptr<Detached> Of(duckdb::DatabaseInstance &instance);

	//! A client's transaction, from its begin to its end.
	void Begin(duckdb::MetaTransaction &transaction);
	void End(duckdb::MetaTransaction &transaction);

	//! Takes in what has just lost its name. `is_file`: it is the instance's own file, not a copy.
	void Add(duckdb::shared_ptr<duckdb::AttachedDatabase> database, bool is_file);
	//! What is left.
	struct Left {
		bool file;
		bool any;
	};
	//! Closes those that nobody uses. Where another thread is at it, waits for that, or leaves it all to that one. Tells what
	//! is left, also where one of them fails to be brought up to date, which is thrown.
	void CloseUnused(bool wait, Left &left);

	static duckdb::string ObjectType() {
		return "dbmux_detached";
	}
	duckdb::string GetObjectType() override {
		return ObjectType();
	}
	//! Never evicted.
	duckdb::optional_idx GetEstimatedCacheMemory() const override {
		return duckdb::optional_idx();
	}

private:
	struct Entry {
		duckdb::shared_ptr<duckdb::AttachedDatabase> database;
		bool is_file;
	};

	//! A client's transaction; null: it has ended.
	struct Registered {
		explicit Registered(duckdb::MetaTransaction &transaction) : transaction(&transaction) {
		}
		//! Held while it is looked at: it ends behind that. A lock for each, for a look may wait for the transaction's own.
		std::mutex lock;
		duckdb::MetaTransaction *transaction;
	};

	bool IsUsed(const Entry &entry);
	//! The same, by who holds the entries.
	void CloseUnused(Left &left);

	//! Held while databases are closed: whoever asks meanwhile waits for that.
	std::mutex entries_lock;
	duckdb::vector<Entry> entries;
	//! Somebody left it to who holds the entries, who may have looked at some already.
	std::atomic<bool> again {false};
	//! Held for moments only: each transaction begins and ends with it.
	std::mutex transactions_lock;
	std::vector<std::shared_ptr<Registered>> transactions;
};

} // namespace dbmux
