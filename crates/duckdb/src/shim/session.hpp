// What we keep with a client's context.

#pragma once

#include "duckdb/main/capi_v2/capi_v2_internal.hpp"

#include "duckdb/common/identifier.hpp"
#include "duckdb/main/attached_database.hpp"
#include "duckdb/main/client_context_state.hpp"
#include "duckdb/transaction/meta_transaction.hpp"

#include "detached.hpp"

namespace dbmux {

//! Present in the contexts of clients, and in no other.
struct SessionState : public duckdb::ClientContextState {
	explicit SessionState(duckdb::DatabaseInstance &instance) : detached(Detached::Of(instance)) {
	}

	static constexpr const char *KEY = "dbmux_session";
	//! Where the client is; empty: it did not tell.
	duckdb::string directory;
	//! What the session attached, by name. No other session sees it.
	duckdb::identifier_map_t<duckdb::shared_ptr<duckdb::AttachedDatabase>> attached;
	//! What was detached, which transactions may use still.
	duckdb::shared_ptr<Detached> detached;

	//! Names of the session's own are looked up in its transaction, before the names of everybody.
	void TransactionBegin(duckdb::MetaTransaction &transaction, duckdb::ClientContext &context) override {
		for (auto &entry : attached) {
			transaction.UseDatabase(entry.second);
		}
		detached->Begin(transaction);
	}
	void TransactionCommit(duckdb::MetaTransaction &transaction, duckdb::ClientContext &context) override {
		detached->End(transaction);
	}
	void TransactionRollback(duckdb::MetaTransaction &transaction, duckdb::ClientContext &context) override {
		detached->End(transaction);
	}
};

} // namespace dbmux
